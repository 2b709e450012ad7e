//! What a certificate says of itself, as programs tell it (X.690 for its bytes, RFC 5280 section 4.1 for its fields).

/// Names and dates of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Whom it is for, as `O=cluster.local; CN=web`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when it holds, as `Nov  8 22:06:34 2026 GMT` (`ASN1_TIME_print`).
    pub from: String,
    /// Until when.
    pub until: String,
}

/// Attributes of names by the last byte of `2.5.4.x`.
const ATTRIBUTES: [(u8, &str); 6] = [(3, "CN"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Takes one element from the front: its tag and its content.
pub(super) fn element<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0_usize, |len, octet| len << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((tag, content))
}

/// A distinguished name as curl writes it.
fn name(mut rdns: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !rdns.is_empty() {
        let mut set = element(&mut rdns)?.1;
        let mut pair = element(&mut set)?.1;
        let kind = element(&mut pair)?.1;
        let value = String::from_utf8_lossy(element(&mut pair)?.1);
        let known = ATTRIBUTES.iter().find(|(last, _)| kind == [0x55, 4, *last]);
        parts.push(format!("{}={value}", known.map_or("UNDEF", |(_, name)| name)));
    }
    Some(parts.join("; "))
}

/// `YYMMDDHHMMSSZ`, or with four digits of the year.
fn moment((tag, text): (u8, &[u8])) -> Option<String> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let year: u32 = year.parse().ok()?;
    let year = match (tag, year) {
        (UTC_TIME, 50..) => 1900 + year,
        (UTC_TIME, _) => 2000 + year,
        _ => year,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = MONTHS.get(usize::from(two(0)?).checked_sub(1)?)?;
    Some(format!("{month} {:2} {:02}:{:02}:{:02} {year} GMT", two(2)?, two(4)?, two(6)?, two(8)?))
}

impl About {
    /// Reads a certificate in DER; `None` if it is none.
    pub fn read(mut der: &[u8]) -> Option<Self> {
        const VERSION: u8 = 0xa0;
        let mut certificate = element(&mut der)?.1;
        let mut fields = element(&mut certificate)?.1;
        let mut first = fields;
        if element(&mut first)?.0 == VERSION {
            fields = first;
        }
        // Its serial number and its signature's algorithm.
        let _ = (element(&mut fields)?, element(&mut fields)?);
        let issuer = name(element(&mut fields)?.1)?;
        let mut validity = element(&mut fields)?.1;
        let (from, until) = (moment(element(&mut validity)?)?, moment(element(&mut validity)?)?);
        let subject = name(element(&mut fields)?.1)?;
        Some(Self { subject, issuer, from, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimTime;
    use crate::tls::Identity;

    #[test]
    fn a_certificate_tells_of_itself() {
        let identity = Identity::self_signed("web", 7, SimTime(0)).expect("a certificate");
        let about = About::read(identity.certificate()).expect("its fields");
        assert_eq!((about.subject.as_str(), about.issuer.as_str()), ("CN=web", "CN=web"));
        assert_eq!(about.from.len(), "Nov  8 22:06:34 2026 GMT".len());
        assert_eq!(About::read(b"no certificate"), None);
    }

    #[test]
    fn years_have_two_digits_or_four() {
        let at = |tag, text: &str| moment((tag, text.as_bytes()));
        assert_eq!(at(0x17, "261108220634Z").as_deref(), Some("Nov  8 22:06:34 2026 GMT"));
        assert_eq!(at(0x18, "20501231000000Z").as_deref(), Some("Dec 31 00:00:00 2050 GMT"));
        assert_eq!(at(0x17, "26"), None);
    }
}
