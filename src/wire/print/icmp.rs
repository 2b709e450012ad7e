//! ICMP (`icmp_print`).

use super::{Cut, Printer, addr, checksum, word};

impl Printer<'_> {
    pub(super) fn icmp(&mut self, is_fragment: bool, bytes: &[u8], length: usize) {
        if let Err(Cut(name)) = self.icmp_inside(is_fragment, bytes, length) {
            self.put(format!("[|{name}]"));
        }
    }

    fn icmp_inside(&mut self, is_fragment: bool, bytes: &[u8], length: usize) -> Result<(), Cut> {
        const CUT: Cut = Cut("icmp");
        let (kind, code) = (*bytes.first().ok_or(CUT)?, *bytes.get(1).ok_or(CUT)?);
        let text = match kind {
            0 | 8 => {
                let what = if kind == 8 { "request" } else { "reply" };
                let (id, seq) = (word(bytes, 4).ok_or(CUT)?, word(bytes, 6).ok_or(CUT)?);
                format!("echo {what}, id {id}, seq {seq}")
            }
            3 => self.unreachable_text(code, bytes)?,
            5 => self.redirect_text(code, bytes)?,
            11 => match code {
                0 => "time exceeded in-transit".to_owned(),
                1 => "ip reassembly time exceeded".to_owned(),
                code => format!("time exceeded-#{code}"),
            },
            12 if code != 0 => format!("parameter problem - code {code}"),
            12 => format!("parameter problem - octet {}", bytes.get(4).ok_or(CUT)?),
            4 => "source quench".to_owned(),
            9 => "router advertisement".to_owned(),
            10 => "router solicitation".to_owned(),
            13 => {
                let (id, seq) = (word(bytes, 4).ok_or(CUT)?, word(bytes, 6).ok_or(CUT)?);
                format!("time stamp query id {id} seq {seq}")
            }
            17 => "address mask request".to_owned(),
            other => format!("type-#{other}"),
        };
        self.put(format!("ICMP {text}, length {length}"));
        if !self.is_verbose() {
            return Ok(());
        }
        if bytes.len() >= length && !self.style.unverified && !is_fragment {
            let sum = checksum(0, &bytes[..length]);
            if sum != 0 {
                let held = word(bytes, 2).unwrap_or(0);
                let mut right = bytes[..length].to_vec();
                right[2..4].copy_from_slice(&[0, 0]);
                self.put(format!(" (wrong icmp cksum {held:x} (->{:x})!)", checksum(0, &right)));
            }
        }
        // An error quotes the packet that it is about.
        if matches!(kind, 3 | 4 | 5 | 11 | 12)
            && let Some(quote) = bytes.get(8..)
            && let Some(total) = word(quote, 2)
        {
            self.put("\n\t");
            self.ip(quote, usize::from(total));
        }
        Ok(())
    }

    fn unreachable_text(&self, code: u8, bytes: &[u8]) -> Result<String, Cut> {
        const CUT: Cut = Cut("icmp");
        let dst = || addr(bytes, 24).map(|dst| self.host(dst)).ok_or(CUT);
        let named = |at: &str, what: &str| Ok(format!("{at} {} unreachable{what}", dst()?));
        match code {
            0 => named("net", ""),
            1 => named("host", ""),
            2 => Ok(format!("{} protocol {} unreachable", dst()?, bytes.get(17).ok_or(CUT)?)),
            3 => {
                let header_len = usize::from(bytes.get(8).ok_or(CUT)? & 0x0f) * 4;
                let protocol = *bytes.get(17).ok_or(CUT)?;
                let port = word(bytes, 8 + header_len + 2).ok_or(CUT)?;
                Ok(match protocol {
                    6 => format!("{} tcp port {} unreachable", dst()?, self.port(port, "tcp")),
                    17 => format!("{} udp port {} unreachable", dst()?, self.port(port, "udp")),
                    other => format!("{} protocol {other} port {port} unreachable", dst()?),
                })
            }
            4 => match word(bytes, 6).ok_or(CUT)? {
                0 => Ok(format!("{} unreachable - need to frag", dst()?)),
                mtu => Ok(format!("{} unreachable - need to frag (mtu {mtu})", dst()?)),
            },
            5 => Ok(format!("{} unreachable - source route failed", dst()?)),
            6 => named("net", " - unknown"),
            7 => named("host", " - unknown"),
            8 => Ok(format!("{} unreachable - source host isolated", dst()?)),
            9 => named("net", " - admin prohibited"),
            10 => named("host", " - admin prohibited"),
            11 => named("net", " - tos prohibited"),
            12 => named("host", " - tos prohibited"),
            13 => named("host", " - admin prohibited filter"),
            14 => named("host", " - host precedence violation"),
            15 => named("host", " - precedence cutoff"),
            code => Ok(format!("{} unreachable - #{code}", dst()?)),
        }
    }

    fn redirect_text(&self, code: u8, bytes: &[u8]) -> Result<String, Cut> {
        const CUT: Cut = Cut("icmp");
        let dst = self.host(addr(bytes, 24).ok_or(CUT)?);
        let to = self.host(addr(bytes, 4).ok_or(CUT)?);
        Ok(match code {
            0 => format!("redirect {dst} to net {to}"),
            1 => format!("redirect {dst} to host {to}"),
            2 => format!("redirect-tos {dst} to net {to}"),
            3 => format!("redirect-tos {dst} to host {to}"),
            code => format!("redirect-#{code} {dst} to net {to}"),
        })
    }
}
