//! Masks what is drawn by chance: Ethernet addresses but those that are fixed, names of interfaces, ids of sandboxes, times.

fn is_hex(word: &str, len: usize) -> bool {
    word.len() == len && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Masks one word, with what may cling to it.
fn mask_word(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if core.is_empty() {
        return word.to_owned();
    }
    let mac = core.len() == 17 && core.split(':').all(|part| is_hex(part, 2));
    let fixed = matches!(core, "ee:ee:ee:ee:ee:ee" | "ff:ff:ff:ff:ff:ff" | "00:00:00:00:00:00");
    if mac && !fixed {
        return word.replace(core, "MAC");
    }
    for (prefix, len) in [("veth", 8), ("lxc", 12), ("/var/run/netns/cni-", 32)] {
        let Some(at) = word.find(prefix) else { continue };
        let start = at + prefix.len();
        if word.get(start..start + len).is_some_and(|rest| is_hex(rest, len)) {
            return format!("{}{prefix}*{}", &word[..at], mask_word(&word[start + len..]));
        }
    }
    if is_hex(core, 64) { word.replace(core, "ID") } else { word.to_owned() }
}

pub(crate) fn mask(text: &str) -> String {
    let times = |line: &str| {
        let line = line.split(" time=").next().unwrap_or(line).to_owned();
        if line.starts_with("rtt ") { "rtt".to_owned() } else { line }
    };
    let words = |line: String| line.split(' ').map(mask_word).collect::<Vec<_>>().join(" ");
    let ids = |line: String| match line.split_once("K8S_POD_INFRA_CONTAINER_ID=") {
        Some((head, tail)) => format!("{head}K8S_POD_INFRA_CONTAINER_ID=ID{}", &tail[64..]),
        None => line,
    };
    text.lines().map(|line| ids(words(times(line))) + "\n").collect()
}
