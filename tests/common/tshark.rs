//! Reads capture files with tshark, an implementation that is not ours, and fails on whatever it finds wrong.

use std::path::Path;
use std::process::Command;

/// What tshark says of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dissected {
    /// Number of the frame, from 1.
    pub(crate) number: u32,
    /// Protocols from the outside in, as `eth:ethertype:ip:udp:vxlan:eth:ethertype:ip:icmp:data`.
    pub(crate) protocols: String,
    /// VXLAN network identifiers, from the outside in.
    pub(crate) vnis: Vec<u32>,
}

/// Fields asked for, and what they may hold: a checksum's status is 0 when it is wrong.
const CHECKSUMS: [&str; 4] =
    ["ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status"];
const TROUBLE: [&str; 4] = ["_ws.malformed", "_ws.short", "_ws.expert.severity", "_ws.expert.message"];
/// Wireshark's severity of a warning; an error's is greater, a note's and a chat's are less.
const WARNING: u32 = 0x0060_0000;
/// Warnings about what some scenarios are about, in captures of the real kernel as well: nobody answers, or a closed port
/// answers with a reset.
const EXPECTED: [&str; 2] = ["No response seen", "Connection reset (RST)"];

/// Reads a capture file; panics with every fault found. VXLAN is decoded on port 4789 and on 8472, which flannel uses.
pub(crate) fn assert_well_formed(capture: &Path) -> Vec<Dissected> {
    match dissect(capture) {
        Ok(frames) => frames,
        Err(faults) => panic!("{}: {faults}", capture.display()),
    }
}

/// Reads a capture file; the error lists every malformed or cut frame and every wrong checksum.
pub(crate) fn dissect(capture: &Path) -> Result<Vec<Dissected>, String> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(["-d", "udp.port==8472,vxlan", "-T", "fields"]);
    // With proxy ARP several machines answer for one address, on the real kernel too.
    tshark.args(["-o", "arp.detect_duplicate_ips:FALSE"]);
    // Every tap on the way shows the same numbered packet once more.
    tshark.args(["-o", "esp.do_esp_sequence_analysis:FALSE"]);
    // A recorded probe sends a few letters to its port, as to any other.
    tshark.args(["--disable-protocol", "mdns"]);
    for protocol in ["ip", "udp", "tcp"] {
        tshark.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    tshark.args([
        "-E",
        "occurrence=a",
        "-E",
        "aggregator=|",
        "-e",
        "frame.number",
        "-e",
        "frame.protocols",
        "-e",
        "vxlan.vni",
    ]);
    for field in CHECKSUMS.iter().chain(&TROUBLE) {
        tshark.args(["-e", field]);
    }
    let output = tshark
        .output()
        .map_err(|error| format!("tshark cannot be run ({error}): run '.ci/setup.sh test'"))?;
    if !output.status.success() {
        return Err(format!("tshark refuses the file: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut frames = Vec::new();
    let mut faults = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let frame = read_line(line, &mut faults);
        frames.push(frame);
    }
    if faults.is_empty() { Ok(frames) } else { Err(faults.join("\n")) }
}

fn read_line(line: &str, faults: &mut Vec<String>) -> Dissected {
    let cells: Vec<&str> = line.split('\t').collect();
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    let values = |at: usize| cell(at).split('|').filter(|value| !value.is_empty());
    let frame = Dissected {
        number: cell(0).parse().unwrap_or_default(),
        protocols: cell(1).to_owned(),
        vnis: values(2).filter_map(|vni| vni.parse().ok()).collect(),
    };
    let at = format!("frame {} ({})", frame.number, frame.protocols);
    for (index, field) in CHECKSUMS.iter().enumerate() {
        if values(3 + index).any(|status| status == "0") {
            faults.push(format!("{at}: wrong checksum: {field}"));
        }
    }
    let trouble = 3 + CHECKSUMS.len();
    for (index, field) in TROUBLE.iter().take(2).enumerate() {
        faults.extend(values(trouble + index).map(|value| format!("{at}: {field}: {value}")));
    }
    for (severity, message) in values(trouble + 2).zip(values(trouble + 3)) {
        let grave = severity.parse().is_ok_and(|severity: u32| severity >= WARNING);
        if grave && !EXPECTED.iter().any(|expected| message.starts_with(expected)) {
            faults.push(format!("{at}: {message}"));
        }
    }
    if frame.protocols.contains("_ws.malformed") {
        faults.push(format!("{at}: malformed"));
    }
    frame
}
