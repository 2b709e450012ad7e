//! TLS as `curl` with OpenSSL 3.0 tells of it.

use super::{Curl, Phase, code};
use crate::app::side::Broken;
use crate::app::{Errno, Os};
use crate::tls::{Failure, Party};
use crate::trace::Stream;

/// What follows the complaint about a certificate.
const ABOUT_CERTIFICATES: &str = "More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above.
";
/// The library that refuses, as it names itself.
const LIBRARY: &str = "OpenSSL/3.0.19";

/// What stands below the complaint about a certificate.
pub(super) fn explain(os: &mut dyn Os, status: u8) {
    if status == code::CERTIFICATE {
        os.write(Stream::Stderr, ABOUT_CERTIFICATES);
    }
}

impl Curl {
    /// Begins TLS on a connection that has just come about (`ossl_connect_step1`).
    pub(super) fn secure(&mut self, os: &mut dyn Os) {
        self.phase = Phase::Securing;
        let party = if self.options.insecure { Party::Trusting } else { Party::Public };
        self.side.secure(os, party);
        self.info(os, "ALPN: offers h2,http/1.1");
        self.info(os, "TLSv1.3 (OUT), TLS handshake, Client hello (1):");
        if !self.options.insecure {
            self.info(os, " CAfile: /etc/ssl/certs/ca-certificates.crt");
            self.info(os, " CApath: /etc/ssl/certs");
        }
        self.send(os);
    }

    /// Something came while TLS is being agreed on; whether it now stands.
    pub(super) fn secured(&mut self, os: &mut dyn Os, read: &Result<(), Broken>) -> bool {
        match read {
            Err(Broken::Tls(failure)) => {
                self.handshake_failed(os, failure);
                return false;
            }
            Err(Broken::Tcp(errno)) => {
                self.cut_off(os, Some(*errno));
                return false;
            }
            Ok(()) if self.side.ended && !self.side.is_ready() => {
                self.cut_off(os, None);
                return false;
            }
            Ok(()) => {}
        }
        self.send(os);
        if self.phase != Phase::Securing || !self.side.is_ready() {
            return false;
        }
        self.moments.secured.get_or_insert(os.now());
        self.tell_handshake(os, true);
        self.ready(os);
        true
    }

    /// The messages of a handshake, to the certificate or to the end.
    fn tell_handshake(&self, os: &mut dyn Os, whole: bool) {
        let incoming = [("Server hello", 2), ("Encrypted Extensions", 8), ("Certificate", 11)];
        for (name, number) in incoming {
            self.info(os, &format!("TLSv1.3 (IN), TLS handshake, {name} ({number}):"));
        }
        if !whole {
            return;
        }
        self.info(os, "TLSv1.3 (IN), TLS handshake, CERT verify (15):");
        self.info(os, "TLSv1.3 (IN), TLS handshake, Finished (20):");
        self.info(os, "TLSv1.3 (OUT), TLS change cipher, Change cipher spec (1):");
        self.info(os, "TLSv1.3 (OUT), TLS handshake, Finished (20):");
        self.info(os, &format!("SSL connection using TLSv1.3 / {}", crate::tls::SUITE));
        self.info(os, "ALPN: server accepted http/1.1");
        self.info(os, "Server certificate:");
        if let Some(told) = self.side.peer_certificate().and_then(|der| crate::tls::About::read(&der)) {
            self.info(os, &format!(" subject: {}", told.subject));
            self.info(os, &format!(" start date: {}", told.from));
            self.info(os, &format!(" expire date: {}", told.until));
            self.info(os, &format!(" issuer: {}", told.issuer));
        }
        self.info(os, " SSL certificate verify result: self-signed certificate (18), continuing anyway.");
        self.info(os, "using HTTP/1.1");
    }

    fn handshake_failed(&mut self, os: &mut dyn Os, failure: &Failure) {
        // What it has to say of the refusal is to go out.
        let _ = self.side.flush(os);
        if matches!(failure, Failure::Certificate(_)) {
            self.tell_handshake(os, false);
            self.info(os, "TLSv1.3 (OUT), TLS alert, unknown CA (560):");
            let text = "SSL certificate problem: self-signed certificate";
            self.info(os, text);
            self.close_and_fail(os, code::CERTIFICATE, text);
            return;
        }
        self.tls_failed(os, failure);
    }

    /// TLS came to an end that is none.
    pub(super) fn tls_failed(&mut self, os: &mut dyn Os, failure: &Failure) {
        let why = match failure {
            Failure::NotTls => "error:0A00010B:SSL routines::wrong version number".to_owned(),
            Failure::Alert(40) => "error:0A000410:SSL routines::sslv3 alert handshake failure".to_owned(),
            Failure::Alert(70) => "error:0A00042E:SSL routines::tlsv1 alert protocol version".to_owned(),
            Failure::Alert(80) => "error:0A000438:SSL routines::tlsv1 alert internal error".to_owned(),
            Failure::Alert(116) => {
                "error:0A00045C:SSL routines::tlsv13 alert certificate required".to_owned()
            }
            Failure::Alert(_) | Failure::Certificate(_) | Failure::NoCertificate | Failure::Other(_) => {
                failure.text()
            }
        };
        let text = format!("{LIBRARY}: {why}");
        self.info(os, &text);
        let status = if self.phase == Phase::Securing { code::TLS } else { code::RECEIVE };
        self.close_and_fail(os, status, &text);
    }

    /// The connection ended within the handshake.
    fn cut_off(&mut self, os: &mut dyn Os, errno: Option<Errno>) {
        let (host, port) = (&self.url.host, self.url.port());
        let text = match errno {
            Some(errno) => format!("Recv failure: {}", errno.text()),
            None => format!("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to {host}:{port} "),
        };
        self.info(os, &text);
        self.close_and_fail(os, code::TLS, &text);
    }
}
