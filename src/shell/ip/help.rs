//! What the objects of `ip` say of themselves.

/// What `ip nexthop` says of itself.
pub(super) const NEXTHOP: &str = include_str!("../usage/ip-nexthop.txt");

/// The usage text of an object, where its first words ask for it.
pub(super) fn of(object: &str, words: &[String]) -> Option<&'static str> {
    let (word, object) = match (object, words) {
        ("xfrm", [kind, word, ..]) => {
            (word, if "policy".starts_with(kind.as_str()) { "policy" } else { "state" })
        }
        // Whose kind of device's options they are is told elsewhere.
        ("link", [_, _, ..]) | (_, []) => return None,
        (_, [word, ..]) => (word, object),
    };
    if word.is_empty() || !"help".starts_with(word.as_str()) {
        return None;
    }
    Some(match object {
        "address" => include_str!("../usage/ip-address.txt"),
        "link" => include_str!("../usage/ip-link.txt"),
        "route" => include_str!("../usage/ip-route.txt"),
        "rule" => include_str!("../usage/ip-rule.txt"),
        "neighbor" => include_str!("../usage/ip-neighbor.txt"),
        "tunnel" => include_str!("../usage/ip-tunnel.txt"),
        "nexthop" => NEXTHOP,
        "netns" => include_str!("../usage/ip-netns.txt"),
        "?maddress" => include_str!("../usage/ip-maddress.txt"),
        "xfrm" => include_str!("../usage/ip-xfrm.txt"),
        "policy" => include_str!("../usage/ip-xfrm-policy.txt"),
        "state" => include_str!("../usage/ip-xfrm-state.txt"),
        _ => return None,
    })
}
