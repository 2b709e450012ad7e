//! Names of images as the runtime reads them (`distribution/reference`).

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Longest name with its registry (`NameTotalLengthMax`).
const NAME_MAX: usize = 255;

/// What is wrong with an image's name; `None` for one that can be pulled.
pub fn objection(image: &str) -> Option<String> {
    const INVALID: &str = "invalid reference format";
    if image.len() == 64 && image.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(format!(
            "invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
        ));
    }
    let (domain, rest) = split(image);
    let remote = rest.split(':').next().unwrap_or(&rest);
    if remote.to_lowercase() != remote {
        return Some(format!("{INVALID}: repository name ({remote}) must be lowercase"));
    }
    let (named, digest) = match rest.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (rest.as_str(), None),
    };
    let (path, tag) = match named.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (named, None),
    };
    let fits = is_domain(&domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if !fits {
        return Some(INVALID.to_owned());
    }
    let is_long = path.len() > NAME_MAX;
    is_long.then(|| format!("repository name must not be more than {NAME_MAX} characters"))
}

/// The registry and what is left, both as they are where they are not written (`splitDockerDomain`).
fn split(image: &str) -> (String, String) {
    const DEFAULT: &str = "docker.io";
    let (domain, rest) = match image.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first =>
        {
            (first, rest)
        }
        _ => (DEFAULT, image),
    };
    let domain = if domain == "index.docker.io" { DEFAULT } else { domain };
    let library = if domain == DEFAULT && !rest.contains('/') { "library/" } else { "" };
    (domain.to_owned(), format!("{library}{rest}"))
}

/// The name under which the runtime asks for an image: with its registry, and with its digest or else its tag
/// (`ParseDockerRef`).
pub fn full(image: &str) -> String {
    let (domain, rest) = split(image);
    match rest.split_once('@') {
        Some((named, digest)) => {
            format!("{domain}/{}@{digest}", named.split_once(':').map_or(named, |(path, _)| path))
        }
        None if rest.contains(':') => format!("{domain}/{rest}"),
        None => format!("{domain}/{rest}:latest"),
    }
}

/// What the runtime says of an image that it holds: its name, and its name with the digest of its manifest
/// (`ContainerStatus`, containerd's `container_status.go`: the first of its tags, else its identity; the first of its
/// digests).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `docker.io/library/nginx:1.27`; the identity `sha256:…` of an image that was asked for by its digest.
    pub name: String,
    /// `docker.io/library/nginx@sha256:…`.
    pub id: String,
}

/// What the runtime says of the image of this name. *Simplified*: no registry is asked, digests follow from the name.
pub fn told(image: &str) -> Told {
    let (domain, rest) = split(image);
    let (named, digest) =
        rest.split_once('@').map_or((rest.as_str(), None), |(named, digest)| (named, Some(digest)));
    let (path, tag) = named.split_once(':').map_or((named, None), |(path, tag)| (path, Some(tag)));
    let tagged = format!("{domain}/{path}:{}", tag.unwrap_or("latest"));
    let own = || format!("sha256:{}", hex_digest(&format!("manifest {tagged}")));
    let id = format!("{domain}/{path}@{}", digest.map_or_else(own, str::to_owned));
    let name = match (tag, digest) {
        (None, Some(digest)) => format!("sha256:{}", hex_digest(&format!("image {digest}"))),
        (None | Some(_), _) => tagged,
    };
    Told { name, id }
}

/// SHA-256 of a text, in 64 hexadecimal digits.
pub fn hex_digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn is_domain(text: &str) -> bool {
    let (name, port) = text.rsplit_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let part = |part: &str| {
        let inside = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inside && !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
    };
    name.split('.').all(part)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Letters and digits, between them one dot, one or two underscores, or dashes.
fn is_component(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends =
        bytes.first().zip(bytes.last()).is_some_and(|(first, last)| is_letter(*first) && is_letter(*last));
    ends && text
        .split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
        && text.len() <= 128
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    algorithm.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_pulled_and_names_that_cannot() {
        let hash = "a".repeat(64);
        for image in [
            "nginx",
            "nginx:1.27",
            "registry.k8s.io/e2e-test-images/agnhost:2.40",
            "localhost:5000/a_b/c__d-e--f:X",
            &format!("nginx@sha256:{hash}"),
        ] {
            assert_eq!(objection(image), None, "{image}");
        }
        let invalid = "invalid reference format";
        for (image, why) in [
            (
                "FAILED_IMAGE",
                &*format!("{invalid}: repository name (library/FAILED_IMAGE) must be lowercase"),
            ),
            ("a/B:c", &format!("{invalid}: repository name (a/B) must be lowercase")),
            (":sha-1", invalid),
            ("registry.hub.docker.com/library//nginx:latest", invalid),
            ("https://nginx", invalid),
            ("nginx:", invalid),
            (&hash, &format!("invalid repository name ({hash}), cannot specify 64-byte hexadecimal strings")),
        ] {
            assert_eq!(objection(image).as_deref(), Some(why), "{image}");
        }
    }

    #[test]
    fn the_runtime_names_images_in_full() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, name, id) in [
            ("nginx", "docker.io/library/nginx:latest", "docker.io/library/nginx@sha256:"),
            ("docker.io/nginx:1.27", "docker.io/library/nginx:1.27", "docker.io/library/nginx@sha256:"),
            ("r.example:5000/a/b:c", "r.example:5000/a/b:c", "r.example:5000/a/b@sha256:"),
            (&format!("nginx@{digest}"), "sha256:", &format!("docker.io/library/nginx@{digest}")),
            (
                &format!("nginx:1@{digest}"),
                "docker.io/library/nginx:1",
                &format!("docker.io/library/nginx@{digest}"),
            ),
        ] {
            let told = told(image);
            assert!(told.name.starts_with(name), "{image}: {}", told.name);
            assert!(told.id.starts_with(id), "{image}: {}", told.id);
            assert_eq!(told.id.rsplit_once(':').map(|(_, hex)| hex.len()), Some(64), "{image}");
        }
        assert_eq!(told("nginx").id, told("docker.io/library/nginx:latest").id);
    }

    #[test]
    fn the_runtime_asks_for_full_names() {
        for (image, asked) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:nope", "docker.io/library/nginx:nope"),
            ("me/app", "docker.io/me/app:latest"),
            ("r.example:5000/x:1", "r.example:5000/x:1"),
            ("nginx:1@sha256:0", "docker.io/library/nginx@sha256:0"),
        ] {
            assert_eq!(full(image), asked, "{image}");
        }
    }
}
