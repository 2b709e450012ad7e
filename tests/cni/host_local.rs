//! host-local held against the plug-in itself: configurations with calls one after the other, each with what it gave
//! (`tests/cni/host_local/`, Debian's containernetworking-plugins 1.1.1). `UPDATE_EXPECT=1` records them anew where the
//! plug-in is installed.
//!
//! ```text
//! {"subnet": "10.1.0.0/29"}          a configuration's block `ipam`, with a directory of its own
//! ADD CONTAINER/INTERFACE [IP] -> ADDRESS gw GATEWAY …, or the error
//! DEL CONTAINER/INTERFACE -> done
//! ```

use serde_json::{Value, json};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use vethscope::cluster::host_local::{self, Owner, Store};

const PLUGIN: &str = "/usr/lib/cni/host-local";

/// What answers the calls of one configuration.
trait HostLocal {
    fn call(&mut self, is_add: bool, owner: Owner<'_>, requested: Option<&str>) -> String;
}

struct Simulated {
    ipam: Value,
    store: Store,
}

impl HostLocal for Simulated {
    fn call(&mut self, is_add: bool, owner: Owner<'_>, requested: Option<&str>) -> String {
        if !is_add {
            self.store.release(owner.container, Some(owner.ifname));
            return "done".to_owned();
        }
        let requested: Vec<IpAddr> =
            requested.map(|ip| ip.parse().expect("an address")).into_iter().collect();
        let sets = host_local::read(&self.ipam);
        match sets.and_then(|sets| host_local::add(&sets, &mut self.store, owner, &requested)) {
            Ok(given) => {
                let text = given.iter().map(|one| format!("{} gw {}", one.net, one.gateway));
                text.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error,
        }
    }
}

/// The plug-in, with its directory.
struct Real {
    ipam: Value,
    folder: std::path::PathBuf,
}

impl HostLocal for Real {
    fn call(&mut self, is_add: bool, owner: Owner<'_>, requested: Option<&str>) -> String {
        let mut ipam = self.ipam.clone();
        ipam["type"] = json!("host-local");
        ipam["dataDir"] = json!(self.folder);
        let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam});
        let mut child = Command::new(PLUGIN)
            .env("CNI_COMMAND", if is_add { "ADD" } else { "DEL" })
            .env("CNI_CONTAINERID", owner.container)
            .env("CNI_NETNS", "/proc/self/ns/net")
            .env("CNI_IFNAME", owner.ifname)
            .env("CNI_PATH", "/usr/lib/cni")
            .env("CNI_ARGS", requested.map_or_else(String::new, |ip| format!("IP={ip}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the plug-in starts");
        let mut input = child.stdin.take().expect("standard input");
        input.write_all(config.to_string().as_bytes()).expect("it reads the configuration");
        drop(input);
        let output = child.wait_with_output().expect("it ends").stdout;
        let Ok(answer) = serde_json::from_slice::<Value>(&output) else { return "done".to_owned() };
        if let Some(error) = answer["msg"].as_str() {
            return error.to_owned();
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ips = answer["ips"].as_array().into_iter().flatten();
        let ips = ips.map(|ip| format!("{} gw {}", text(&ip["address"]), text(&ip["gateway"])));
        ips.collect::<Vec<_>>().join(", ")
    }
}

/// Plays the calls of a file and writes it with the answers.
fn play(file: &str, mut made: impl FnMut(Value) -> Box<dyn HostLocal>) -> String {
    let mut out = String::new();
    let mut plugin = None;
    for line in file.lines() {
        let call = line.split(" -> ").next().unwrap_or_default();
        let words: Vec<&str> = call.split(' ').collect();
        if let ["ADD" | "DEL", owner, requested @ ..] = words.as_slice() {
            let (container, ifname) = owner.split_once('/').expect("CONTAINER/INTERFACE");
            let plugin: &mut Box<dyn HostLocal> = plugin.as_mut().expect("a configuration stands above");
            let owner = Owner { container, ifname };
            let answer = plugin.call(words[0] == "ADD", owner, requested.first().copied());
            out.extend([call, " -> ", &answer, "\n"]);
            continue;
        }
        if line.starts_with('{') {
            plugin = Some(made(serde_json::from_str(line).expect("it is JSON")));
        }
        out.extend([line, "\n"]);
    }
    out
}

#[test]
fn addresses_are_given_as_the_plugin_gives_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cni/host_local/ranges.txt");
    let mut file = std::fs::read_to_string(&path).expect("the recorded calls");
    if std::env::var_os("UPDATE_EXPECT").is_some() && Path::new(PLUGIN).exists() {
        let root = std::env::temp_dir().join(format!("vethscope-host-local-{}", std::process::id()));
        let mut number = 0;
        file = play(&file, |ipam| {
            number += 1;
            Box::new(Real { ipam, folder: root.join(number.to_string()) })
        });
        std::fs::remove_dir_all(&root).expect("the directories of the plug-in");
        std::fs::write(&path, &file).expect("the calls are written");
    }
    assert!(file.matches(" -> ").count() > 50, "the calls are there");
    let simulated = play(&file, |ipam| Box::new(Simulated { ipam, store: Store::default() }));
    assert_eq!(simulated, file, "left: simulated, right: the plug-in");
}
