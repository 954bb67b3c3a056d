//! The Cloudflare client over a transport: endpoints, envelope, errors.
