//! Names of protocols and services, as `/etc/protocols` and `/etc/services` of Debian have them: those that rules of
//! clusters use.

const PROTOCOLS: [(u8, &str); 14] = [
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipencap"),
    (6, "tcp"),
    (17, "udp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (89, "ospf"),
    (94, "ipip"),
    (132, "sctp"),
    (136, "udplite"),
];

const SERVICES: [(u16, &str, bool); 42] = [
    (7, "echo", true),
    (9, "discard", true),
    (13, "daytime", true),
    (19, "chargen", true),
    (20, "ftp-data", false),
    (21, "ftp", false),
    (22, "ssh", false),
    (23, "telnet", false),
    (25, "smtp", false),
    (37, "time", true),
    (49, "tacacs", true),
    (53, "domain", true),
    (67, "bootps", true),
    (68, "bootpc", true),
    (69, "tftp", true),
    (70, "gopher", false),
    (79, "finger", false),
    (80, "http", false),
    (88, "kerberos", true),
    (110, "pop3", false),
    (111, "sunrpc", true),
    (123, "ntp", true),
    (143, "imap2", false),
    (161, "snmp", true),
    (162, "snmp-trap", true),
    (179, "bgp", false),
    (389, "ldap", true),
    (443, "https", true),
    (445, "microsoft-ds", true),
    (500, "isakmp", true),
    (514, "syslog", true),
    (636, "ldaps", true),
    (853, "domain-s", true),
    (993, "imaps", false),
    (995, "pop3s", false),
    (1433, "ms-sql-s", false),
    (2049, "nfs", true),
    (3306, "mysql", false),
    (4500, "ipsec-nat-t", true),
    (5432, "postgresql", false),
    (6379, "redis", false),
    (8080, "http-alt", true),
];

/// The number of a protocol, given as a number or by name in any case.
pub fn protocol_number(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    if lower == "all" {
        return Some(0);
    }
    lower
        .parse()
        .ok()
        .or_else(|| PROTOCOLS.iter().find(|(_, name)| *name == lower).map(|(number, _)| *number))
}

/// The name of a protocol; its number where it has none.
pub fn protocol_name(number: u8) -> String {
    let found = PROTOCOLS.iter().find(|(known, _)| *known == number);
    found.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// The port of a service of TCP, or of UDP where the protocol is 17.
pub fn service_port(name: &str, protocol: u8) -> Option<u16> {
    let found = SERVICES.iter().find(|(_, known, udp)| *known == name && (protocol != 17 || *udp));
    found.map(|(port, ..)| *port)
}

/// The service at a port; the port itself where there is none.
pub fn service_name(port: u16, protocol: u8) -> String {
    let found = SERVICES.iter().find(|(known, _, udp)| *known == port && (protocol != 17 || *udp));
    found.map_or_else(|| port.to_string(), |(_, name, _)| (*name).to_owned())
}
