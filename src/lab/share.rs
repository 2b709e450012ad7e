//! A lab as a piece of a URL, and back: the log as JSON, compressed with a checksum (zlib, RFC 1950), written with the
//! letters a fragment may hold (base64url, RFC 4648 section 5), after a version that old links keep.
//!
//! Whatever stands in a link comes from somebody else, so reading it never trusts a length, an order or a number.

use super::LabLog;
use crate::base::SimTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde::{Deserialize, Serialize};

/// Longest link that is offered, in characters. Browsers take much longer ones, chat programs and mail do not.
pub const LINK_LIMIT: usize = 32_000;

/// Most bytes of JSON that a link may unfold to; a small link can be made to unfold to gigabytes.
const UNFOLDED_LIMIT: usize = 16 << 20;

/// Most actions that a log from outside may hold.
const ACTION_LIMIT: usize = 10_000;

/// What the version at the front of a link says about the rest.
const VERSION: &str = "v1";

/// Level of compression: the best that is still quick for a text of this size.
const LEVEL: u8 = 9;

/// What a link holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The log of the lab.
    pub log: LabLog,
    /// Where the playhead stood, if the sender wanted that to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SimTime>,
}

/// Why a link or a file could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareError {
    /// The fragment has no version in front: it is no link of ours.
    NotALink,
    /// It was made by a version that this one does not know.
    UnknownVersion(String),
    /// It ends too early: the end was lost on the way.
    CutOff,
    /// Something in the middle was changed: the checksum or the code does not fit.
    Damaged,
    /// It unfolds to more than is accepted.
    TooLarge,
    /// It unfolds to something that is no log, and why.
    NotALog(String),
}

impl ShareError {
    /// Key of the sentence that tells a person, with its arguments.
    pub fn words(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::NotALink => ("frame.link.not_a_link", Vec::new()),
            Self::UnknownVersion(version) => ("frame.link.version", vec![version.clone()]),
            Self::CutOff => ("frame.link.cut_off", Vec::new()),
            Self::Damaged => ("frame.link.damaged", Vec::new()),
            Self::TooLarge => ("frame.link.too_large", Vec::new()),
            Self::NotALog(why) => ("frame.link.not_a_log", vec![why.clone()]),
        }
    }
}

/// Writes a fragment, without the `#`.
pub fn encode(shared: &Shared) -> String {
    let json =
        serde_json::to_vec(shared).expect("a log has only strings and numbers, which JSON can always hold");
    format!("{VERSION}:{}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(&json, LEVEL)))
}

/// Reads a fragment, with or without the `#`. White space that a mail program put in is passed over.
pub fn decode(fragment: &str) -> Result<Shared, ShareError> {
    let fragment: String = fragment.trim_start_matches('#').chars().filter(|c| !c.is_whitespace()).collect();
    let (version, payload) = fragment.split_once(':').ok_or(ShareError::NotALink)?;
    let is_version = version.strip_prefix('v').is_some_and(|number| number.parse::<u16>().is_ok());
    if !is_version {
        return Err(ShareError::NotALink);
    }
    if version != VERSION {
        return Err(ShareError::UnknownVersion(version.to_owned()));
    }
    let json =
        decompress_to_vec_zlib_with_limit(&unpack(payload)?, UNFOLDED_LIMIT).map_err(|error| match error
            .status
        {
            TINFLStatus::HasMoreOutput => ShareError::TooLarge,
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => ShareError::CutOff,
            TINFLStatus::BadParam
            | TINFLStatus::Adler32Mismatch
            | TINFLStatus::Failed
            | TINFLStatus::Done
            | _ => ShareError::Damaged,
        })?;
    let shared: Shared =
        serde_json::from_slice(&json).map_err(|error| ShareError::NotALog(error.to_string()))?;
    checked(shared.log).map(|log| Shared { log, at: shared.at })
}

/// Reads a log from a file, as [`to_file`] wrote it.
pub fn from_file(text: &str) -> Result<LabLog, ShareError> {
    if text.len() > UNFOLDED_LIMIT {
        return Err(ShareError::TooLarge);
    }
    let log = serde_json::from_str(text).map_err(|error| ShareError::NotALog(error.to_string()))?;
    checked(log)
}

/// Writes a log for a file, to be read by people as well.
pub fn to_file(log: &LabLog) -> String {
    let mut text = serde_json::to_string_pretty(log)
        .expect("a log has only strings and numbers, which JSON can always hold");
    text.push('\n');
    text
}

/// The bytes behind the letters. A link that lost its tail may end inside a group of four letters; what is whole of it
/// goes on to the decompressor, which then says that the end is missing.
fn unpack(payload: &str) -> Result<Vec<u8>, ShareError> {
    let whole = payload.trim_end_matches('=');
    let known = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if !whole.bytes().all(known) {
        return Err(ShareError::Damaged);
    }
    URL_SAFE_NO_PAD
        .decode(whole)
        .or_else(|_| URL_SAFE_NO_PAD.decode(&whole[..whole.len() / 4 * 4]))
        .map_err(|_| ShareError::Damaged)
}

/// A log whose actions are few enough and stand in the order of their times.
fn checked(log: LabLog) -> Result<LabLog, ShareError> {
    if log.actions.len() > ACTION_LIMIT {
        return Err(ShareError::TooLarge);
    }
    let ordered = log.actions.windows(2).all(|pair| pair[0].0 <= pair[1].0);
    if ordered { Ok(log) } else { Err(ShareError::NotALog("times run backwards".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Action, Target};
    use proptest::prelude::*;

    fn sample() -> Shared {
        let pod = Target::Pod { namespace: "default".into(), name: "a".into(), container: None };
        let argv = ["ping", "-c", "3", "10.244.2.10"].map(str::to_owned).to_vec();
        let actions = vec![
            (SimTime(0), Action::Apply("kind: Pod\nmetadata: {name: 가나다}\n".into())),
            (SimTime(2_000_000_000), Action::Run { target: pod, argv }),
            (SimTime(3_000_000_000), Action::Interrupt(0)),
            (SimTime(3_000_000_000), Action::Type(0, Some("hostname".into()))),
            (SimTime(4_000_000_000), Action::Type(0, None)),
        ];
        Shared { log: LabLog { seed: 7, actions }, at: Some(SimTime(2_000_230_400)) }
    }

    fn link_of(json: &[u8]) -> String {
        format!("v1:{}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(json, LEVEL)))
    }

    #[test]
    fn a_link_opens_as_what_was_shared() {
        let link = encode(&sample());
        assert!(link.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_:".contains(&c)), "{link}");
        assert_eq!(decode(&link), Ok(sample()));
        assert_eq!(decode(&format!("#{}\n {}", &link[..20], &link[20..])), Ok(sample()), "wrapped by mail");
    }

    #[test]
    fn the_playhead_is_left_out_unless_it_was_asked_for() {
        let shared = Shared { at: None, ..sample() };
        let json = serde_json::to_string(&shared).unwrap();
        assert!(!json.contains("\"at\""), "{json}");
    }

    #[test]
    fn a_link_from_before_anything_could_be_typed_opens() {
        let json = br#"{"log": {"seed": 7, "actions": [[0, {"apply": "x"}], [5, {"interrupt": 0}]]}}"#;
        let actions = vec![(SimTime(0), Action::Apply("x".into())), (SimTime(5), Action::Interrupt(0))];
        assert_eq!(decode(&link_of(json)).map(|shared| shared.log), Ok(LabLog { seed: 7, actions }));
    }

    #[test]
    fn a_link_that_lost_its_end_says_so_wherever_it_was_cut() {
        let link = encode(&sample());
        for end in 4..link.len() {
            let error = decode(&link[..end]).expect_err("a part of a link is no link");
            assert_eq!(error, ShareError::CutOff, "cut after {end} of {} letters", link.len());
        }
    }

    #[test]
    fn a_link_with_a_changed_letter_never_opens_as_another_lab() {
        let link = encode(&sample());
        for at in 3..link.len() {
            let mut forged = link.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let opened = decode(&String::from_utf8(forged).unwrap());
            // The last letter may hold bits that stand for nothing.
            assert!(opened.is_err() || opened == Ok(sample()), "letter {at}: {opened:?}");
        }
    }

    #[test]
    fn other_things_after_the_hash_are_told_apart() {
        assert_eq!(decode("#stage"), Err(ShareError::NotALink));
        assert_eq!(decode("#https://example.org"), Err(ShareError::NotALink));
        assert_eq!(decode("#v2:abcd"), Err(ShareError::UnknownVersion("v2".into())));
        assert_eq!(decode("#v1:<script>"), Err(ShareError::Damaged));
        assert!(matches!(decode(&link_of(b"[1, 2]")), Err(ShareError::NotALog(_))));
        assert!(matches!(decode(&link_of(br#"{"log": {"seed": -1}}"#)), Err(ShareError::NotALog(_))));
    }

    #[test]
    fn a_small_link_cannot_unfold_without_bound() {
        let bomb = link_of(&vec![b' '; UNFOLDED_LIMIT + 1]);
        assert!(bomb.len() < 100_000, "the bomb itself is small: {}", bomb.len());
        assert_eq!(decode(&bomb), Err(ShareError::TooLarge));
    }

    #[test]
    fn a_log_whose_times_run_backwards_is_refused() {
        let mut log = sample().log;
        log.actions.swap(0, 1);
        assert!(matches!(from_file(&to_file(&log)), Err(ShareError::NotALog(_))));
        assert_eq!(from_file(&to_file(&sample().log)), Ok(sample().log));
    }

    proptest! {
        #[test]
        fn no_fragment_makes_the_reader_fail(fragment in "(v1:)?[ -~가-힣]{0,80}") {
            let _ = decode(&fragment);
        }
    }
}
