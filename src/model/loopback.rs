//! Loopback hosts: the only hosts that may be contacted over plain HTTP, because such requests do not cross a network.

use url::Host;

/// Returns true if the host is `localhost` or a loopback address (127.0.0.0/8, `::1`; RFC 1122 and RFC 4291).
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
