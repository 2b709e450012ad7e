//! Where `curl` sends from: `--interface` and `--local-port`.

use super::Curl;
use crate::app::{Os, SocketOption, dial};
use crate::base::Ipv4Addr;
use std::net::SocketAddrV4;

impl Curl {
    /// `bindlocal`: the text of what failed.
    pub(super) fn bind(&self, os: &mut dyn Os) -> Result<(), String> {
        let mut address = Ipv4Addr::UNSPECIFIED;
        if let Some(wanted) = &self.options.interface {
            match os.device_addresses(wanted) {
                Ok(_) => {
                    // An interface's name binds to the device.
                    let device = SocketOption::BindToDevice(wanted.clone());
                    if os.set_option(self.side.socket, device).is_ok() && self.options.local_port.is_none() {
                        return Ok(());
                    }
                }
                Err(_) => match dial::address_of(os, wanted) {
                    Some(found) => {
                        self.info(os, &format!("Name '{wanted}' family 2 resolved to '{found}' family 2"));
                        address = found;
                    }
                    None => return Err(format!("Couldn't bind to '{wanted}'")),
                },
            }
        } else if self.options.local_port.is_none() {
            return Ok(());
        }
        let (first, count) = self.options.local_port.unwrap_or((0, 1));
        let mut port = first;
        loop {
            match os.bind(self.side.socket, SocketAddrV4::new(address, port)) {
                Ok(()) => {
                    self.info(os, &format!("Local port: {port}"));
                    return Ok(());
                }
                Err(_) if port - first + 1 < count => {
                    self.info(os, &format!("Bind to local port {port} failed, trying next"));
                    port += 1;
                }
                Err(errno) => {
                    let text = format!("bind failed with errno {}: {}", errno.number(), errno.text());
                    self.info(os, &text);
                    return Err(text);
                }
            }
        }
    }
}
