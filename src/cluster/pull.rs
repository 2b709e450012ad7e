//! Images and their registries, as far as a kubelet meets them: when it pulls, how long that takes, how large an image
//! is, and which images are not to be had.
//!
//! No registry is *modelled*. An image is there unless its name says otherwise: registries under the names that are kept
//! free for examples (`.example`, `.invalid`, RFC 2606), a name or tag that says it is none (`none`, `missing`, `404`,
//! `does-not-exist` …), and what the annotation `vethscope.dev/missing-images` of the Pod lists.

use super::images::name_and_tag;
use crate::base::Duration;
use std::collections::BTreeMap;

/// Annotation of a Pod with images that its registry does not have, separated by commas; `*` stands for all.
pub const MISSING: &str = "vethscope.dev/missing-images";

/// Parts of a name or tag by which an image says that it is not there.
const TELLING: [&str; 10] = [
    "none",
    "missing",
    "404",
    "nonexistent",
    "nonexisting",
    "doesnotexist",
    "notfound",
    "nosuch",
    "invalid",
    "nope",
];

/// When an image is pulled (`imagePullPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// With every start.
    Always,
    /// Where it is not on the machine.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl Policy {
    /// The policy that is written, or the API's default: an image tagged `latest` or not at all is pulled always.
    pub fn of(written: Option<&str>, image: &str) -> Self {
        match written {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ => match name_and_tag(image).1 {
                None | Some("latest") if !image.contains('@') => Self::Always,
                _ => Self::IfNotPresent,
            },
        }
    }
}

/// Whether no registry has this image.
pub fn is_missing(image: &str, annotations: &BTreeMap<String, String>) -> bool {
    let listed = annotations.get(MISSING).map_or("", String::as_str);
    if listed.split(',').map(str::trim).any(|known| known == "*" || known == image) {
        return true;
    }
    let registry = image.split_once('/').map_or("", |(registry, _)| registry.split(':').next().unwrap_or(""));
    if registry.ends_with(".example") || registry.ends_with(".invalid") {
        return true;
    }
    let (name, tag) = name_and_tag(image);
    let words = |text: &str| text.to_ascii_lowercase();
    let joined = |text: &str| words(text).replace(['-', '_', '.'], "");
    let tells = |text: &str| {
        words(text).split(['-', '_', '.']).any(|part| TELLING.contains(&part))
            || ["doesnotexist", "nosuch", "notfound", "nonexist"]
                .iter()
                .any(|told| joined(text).contains(told))
    };
    tells(name) || tag.is_some_and(tells)
}

/// A number that follows from a name.
fn number_of(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How long a pull takes: between 0.3 and 1.3 s, less where the layers are there already.
pub fn duration(image: &str, is_present: bool) -> Duration {
    let spread = number_of(image) % 1_000;
    Duration::from_ms(if is_present { 150 + spread / 5 } else { 300 + spread })
}

/// Size of an image in bytes: between 1 and 81 MB.
pub fn size(image: &str) -> u64 {
    1_000_000 + number_of(image) % 80_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_missing_where_its_name_says_so() {
        let none = BTreeMap::new();
        for image in
            ["registry.example/none:404", "nginx:does-not-exist", "nosuchimage", "r.invalid/x", "a/b:missing"]
        {
            assert!(is_missing(image, &none), "{image}");
        }
        for image in [
            "nginx",
            "example.com/shop/cart:7",
            "registry.k8s.io/pause:3.10",
            "nginx:1.27-alpine",
            "nonesuch:1",
        ] {
            assert!(!is_missing(image, &none), "{image}");
        }
        let listed = BTreeMap::from([(MISSING.to_owned(), "nginx:9, b".to_owned())]);
        assert!(is_missing("nginx:9", &listed) && !is_missing("nginx:8", &listed));
    }

    #[test]
    fn the_tag_says_when_an_image_is_pulled() {
        assert_eq!(Policy::of(None, "nginx"), Policy::Always);
        assert_eq!(Policy::of(None, "r:5000/nginx:latest"), Policy::Always);
        assert_eq!(Policy::of(None, "nginx:1.27"), Policy::IfNotPresent);
        assert_eq!(Policy::of(None, "nginx@sha256:0"), Policy::IfNotPresent);
        assert_eq!(Policy::of(Some("Never"), "nginx"), Policy::Never);
    }
}
