//! TLS as GNU `wget` with `GnuTLS` tells of it.

use super::{Phase, Wget};
use crate::app::Os;
use crate::app::side::Broken;
use crate::tls::{About, Failure, Party};
use crate::trace::Stream;

impl Wget {
    /// Begins TLS on a connection that has just come about (`ssl_connect_wget`).
    pub(super) fn secure(&mut self, os: &mut dyn Os) {
        self.phase = Phase::Securing;
        // It looks at the certificate when the handshake is over.
        self.side.secure(os, Party::Trusting);
        if self.side.flush(os).is_err() {
            self.not_secured(os, None);
        }
    }

    /// Something came while TLS is being agreed on; whether it now stands, and the request is out.
    pub(super) fn secured(&mut self, os: &mut dyn Os, read: &Result<(), Broken>) -> bool {
        match read {
            Err(Broken::Tls(failure)) => {
                let _ = self.side.flush(os);
                self.not_secured(os, Some(failure));
                return false;
            }
            Err(Broken::Tcp(_)) => {
                self.not_secured(os, None);
                return false;
            }
            Ok(()) if self.side.ended && !self.side.is_ready() => {
                self.not_secured(os, None);
                return false;
            }
            Ok(()) => {}
        }
        if self.side.flush(os).is_err() {
            self.not_secured(os, None);
            return false;
        }
        if !self.side.is_ready() {
            return false;
        }
        if !self.certificate_will_do(os) {
            self.end(os, 5);
            return false;
        }
        self.ask(os);
        true
    }

    /// `ssl_check_certificate`: nobody whom the system trusts has signed any certificate here.
    fn certificate_will_do(&self, os: &mut dyn Os) -> bool {
        let host = &self.url.host;
        let severity = if self.options.insecure { "WARNING" } else { "ERROR" };
        self.complain(os, &format!("{severity}: The certificate of '{host}' is not trusted.\n"));
        self.complain(os, &format!("{severity}: The certificate of '{host}' doesn't have a known issuer.\n"));
        let about = self.side.peer_certificate().and_then(|der| About::read(&der));
        if about.is_none_or(|about| about.subject != format!("CN={host}")) {
            self.complain(os, &format!("The certificate's owner does not match hostname '{host}'\n"));
        }
        self.options.insecure
    }

    /// What `-nv` shows as well.
    fn complain(&self, os: &mut dyn Os, text: &str) {
        if !self.options.quiet {
            os.write(Stream::Stderr, text);
        }
    }

    fn not_secured(&mut self, os: &mut dyn Os, failure: Option<&Failure>) {
        let why = match failure {
            Some(Failure::NotTls) => "An unexpected TLS packet was received.",
            Some(Failure::Alert(_)) => "A TLS fatal alert has been received.",
            Some(Failure::Certificate(_) | Failure::NoCertificate | Failure::Other(_)) => {
                "Error in the certificate."
            }
            None => "The TLS connection was non-properly terminated.",
        };
        self.complain(os, &format!("GnuTLS: {why}\nUnable to establish SSL connection.\n"));
        self.end(os, 4);
    }
}
