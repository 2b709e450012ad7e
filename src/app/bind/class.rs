//! Classes of questions by name (`lib/dns/rdata.c`).

/// Classes with their names.
const CLASSES: [(u16, &str); 6] =
    [(1, "IN"), (3, "CH"), (4, "HS"), (254, "NONE"), (255, "ANY"), (3, "CHAOS")];

/// The class of a name, which may be `CLASS` with a number.
pub fn of_name(name: &str) -> Option<u16> {
    let upper = name.to_ascii_uppercase();
    let known = CLASSES.iter().find(|(_, known)| *known == upper).map(|(class, _)| *class);
    known.or_else(|| upper.strip_prefix("CLASS")?.parse().ok()).or_else(|| (upper == "HESIOD").then_some(4))
}

/// The name of a class.
pub(super) fn name(class: u16) -> String {
    let known = CLASSES.iter().find(|(known, _)| *known == class);
    known.map_or_else(|| format!("CLASS{class}"), |(_, name)| (*name).to_owned())
}
