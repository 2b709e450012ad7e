//! Names of ports and protocols, as `/etc/services` and `/etc/protocols` of a Debian system have them.

/// `PORT/PROTOCOL NAME ALIAS...`, one a line.
const SERVICES: &str = include_str!("services.txt");
/// `NUMBER NAME ALIAS...`, one a line.
const PROTOCOLS: &str = include_str!("protocols.txt");

/// Name of a port (`getservbyport(3)`); the protocol is `tcp` or `udp`.
pub fn service_name(port: u16, protocol: &str) -> Option<&'static str> {
    services().find_map(|(at, of, mut names)| (at == port && of == protocol).then(|| names.next())?)
}

/// Port of a name (`getservbyname(3)`); the protocol is `tcp` or `udp`.
pub fn service_port(name: &str, protocol: &str) -> Option<u16> {
    services()
        .find_map(|(port, of, mut names)| (of == protocol && names.any(|at| at == name)).then_some(port))
}

/// Number of an IP protocol (`getprotobyname(3)`).
pub fn protocol_number(name: &str) -> Option<u8> {
    PROTOCOLS.lines().find_map(|line| {
        let mut words = line.split(' ');
        let number = words.next()?.parse().ok()?;
        words.any(|at| at == name).then_some(number)
    })
}

/// Name of an IP protocol (`getprotobynumber(3)`).
pub fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS.lines().find_map(|line| {
        let mut words = line.split(' ');
        let at: u8 = words.next()?.parse().ok()?;
        (at == number).then(|| words.next())?
    })
}

fn services() -> impl Iterator<Item = (u16, &'static str, std::str::Split<'static, char>)> {
    SERVICES.lines().filter_map(|line| {
        let (key, names) = line.split_once(' ')?;
        let (port, protocol) = key.split_once('/')?;
        Some((port.parse().ok()?, protocol, names.split(' ')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_protocols_have_their_names() {
        assert_eq!(service_name(80, "tcp"), Some("http"));
        assert_eq!(service_name(80, "udp"), None);
        assert_eq!(service_port("www", "tcp"), Some(80));
        assert_eq!(service_port("domain", "udp"), Some(53));
        assert_eq!(service_port("nobody", "udp"), None);
        assert_eq!(protocol_number("gre"), Some(47));
        assert_eq!(protocol_name(112), Some("vrrp"));
    }
}
