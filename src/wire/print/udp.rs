//! UDP and the protocols told by its ports (`udp_print`, `vxlan_print`, `otv_print`).

use super::ip::Header;
use super::tcp::pseudo;
use super::{Cut, Printer, checksum, word};

const CUT: Cut = Cut("udp");

impl Printer<'_> {
    pub(super) fn udp(&mut self, header: Header, bytes: &[u8], mut length: usize) -> Result<(), Cut> {
        let (from, to) = (self.host(header.src), self.host(header.dst));
        let (Some(src), Some(dst)) = (word(bytes, 0), word(bytes, 2)) else {
            self.put(format!("{from} > {to}:"));
            return Err(CUT);
        };
        let (src_name, dst_name) = (self.port(src, "udp"), self.port(dst, "udp"));
        self.put(format!("{from}.{src_name} > {to}.{dst_name}: "));
        if length < 8 {
            self.put(format!("truncated-udp {length}"));
            return Ok(());
        }
        let said = usize::from(word(bytes, 4).ok_or(CUT)?);
        if said < 8 {
            self.put(format!("truncated-udplength {said}"));
            return Ok(());
        }
        let data_len = said - 8;
        length -= 8;
        length = length.min(data_len);
        let data = bytes.get(8..).ok_or(CUT)?;
        let data = &data[..data.len().min(length)];
        if self.style.quiet {
            self.put(format!("UDP, length {data_len}"));
            return Ok(());
        }
        if self.style.verbosity > 1 && !self.style.unverified && !header.is_fragment {
            self.udp_checksum(header, bytes, said);
        }
        let is = |port: u16| src == port || dst == port;
        if is(53) || is(5353) {
            self.dns(data, length, is(5353) && !is(53));
        } else if is(4789) {
            return self.vxlan(data, length);
        } else if is(8472) {
            return self.otv(data, length);
        } else if data_len > length {
            self.put(format!("UDP, bad length {data_len} > {length}"));
        } else {
            self.put(format!("UDP, length {data_len}"));
        }
        Ok(())
    }

    fn udp_checksum(&mut self, header: Header, bytes: &[u8], said: usize) {
        let (Some(held), Some(datagram)) = (word(bytes, 6), bytes.get(..said)) else { return };
        if held == 0 {
            self.put("[no cksum] ");
            return;
        }
        let start = pseudo(header, said);
        if checksum(start, datagram) == 0 {
            self.put("[udp sum ok] ");
            return;
        }
        let mut right = datagram.to_vec();
        right[6..8].copy_from_slice(&[0, 0]);
        self.put(format!("[bad udp cksum 0x{held:04x} -> 0x{:04x}!] ", checksum(start, &right)));
    }

    fn vxlan(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        self.put("VXLAN, ");
        let Some(header) = bytes.first_chunk::<8>() else { return Err(Cut("vxlan")) };
        let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
        let flag = if header[0] & 0x08 == 0 { "." } else { "I" };
        self.put(format!("flags [{flag}] (0x{:02x}), vni {vni}\n", header[0]));
        self.ether(&bytes[8..], length - 8);
        Ok(())
    }

    /// Port 8472 belongs to OTV, whose header is laid out alike.
    fn otv(&mut self, bytes: &[u8], length: usize) -> Result<(), Cut> {
        self.put("OTV, ");
        let Some(header) = bytes.first_chunk::<8>() else { return Err(Cut("otv")) };
        let number = |at: usize| u32::from_be_bytes([0, header[at], header[at + 1], header[at + 2]]);
        let flag = if header[0] & 0x08 == 0 { "." } else { "I" };
        self.put(format!("flags [{flag}] (0x{:02x}), ", header[0]));
        self.put(format!("overlay {}, instance {}\n", number(1), number(4)));
        self.ether(&bytes[8..], length - 8);
        Ok(())
    }
}
