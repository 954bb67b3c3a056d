//! Which hosts are this very machine: the only ones that plain http may go to, since what is sent there crosses no network.

use url::Host;

/// Says whether a host is `localhost`, or an address of the loopback range (127.0.0.0/8, `::1`; RFC 1122 and RFC 4291).
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
