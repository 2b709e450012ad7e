//! Korean particles after words filled into a sentence.
//!
//! A particle has two forms, chosen by whether the word before ends in a consonant. The catalogue writes both, as
//! `을(를)`; here the one that fits is chosen. Digits and Latin letters count as they are read aloud.

/// Both forms as written, the form after a consonant, the form after a vowel.
const PARTICLES: [(&str, &str, &str); 5] = [
    ("은(는)", "은", "는"),
    ("이(가)", "이", "가"),
    ("을(를)", "을", "를"),
    ("과(와)", "과", "와"),
    ("(으)로", "으로", "로"),
];

/// The text with every double form replaced by the form that fits.
pub(super) fn resolve(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, (both, closed, open))) = PARTICLES
        .iter()
        .filter_map(|particle| Some((rest.find(particle.0)?, particle)))
        .min_by_key(|hit| hit.0)
    {
        out.push_str(&rest[..at]);
        let ending = out.chars().rev().find(|c| c.is_alphanumeric()).map_or(Ending::Vowel, ending);
        // 로 follows ㄹ directly, as it follows a vowel.
        let takes_closed = ending == Ending::Consonant || (ending == Ending::Rieul && *both != "(으)로");
        out.push_str(if takes_closed { closed } else { open });
        rest = &rest[at + both.len()..];
    }
    out + rest
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Vowel,
    Consonant,
    Rieul,
}

fn ending(last: char) -> Ending {
    match last {
        '가'..='힣' => match (last as u32 - '가' as u32) % 28 {
            0 => Ending::Vowel,
            8 => Ending::Rieul,
            _ => Ending::Consonant,
        },
        // 일, 칠, 팔; 엘, 알.
        '1' | '7' | '8' | 'l' | 'L' | 'r' | 'R' => Ending::Rieul,
        // 영, 삼, 육; 엠, 엔.
        '0' | '3' | '6' | 'm' | 'M' | 'n' | 'N' => Ending::Consonant,
        _ => Ending::Vowel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_particle_follows_how_the_word_is_read() {
        for (text, resolved) in [
            ("10.244.1.1은(는)", "10.244.1.1은"),
            ("eth0을(를)", "eth0을"),
            ("cni0(으)로", "cni0으로"),
            ("flannel.1(으)로", "flannel.1로"),
            ("\"a via b\"이(가)", "\"a via b\"가"),
            ("10.0.0.2(으)로 eth1이(가)", "10.0.0.2로 eth1이"),
            ("노드을(를) 서울(으)로", "노드를 서울로"),
        ] {
            assert_eq!(resolve(text), resolved);
        }
    }
}
