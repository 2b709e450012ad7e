//! What probes and hooks over the network ask, whoever asks it: a kubelet, or a proxy in its place.

/// What is asked at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// That it takes connections.
    Connection,
    /// That `GET` of this path is answered with a status from 200 to 399.
    Http {
        /// Path with its query.
        path: String,
        /// Whether over TLS: whose certificate it is, is not asked (`InsecureSkipVerify`).
        is_https: bool,
        /// Header fields, name and value.
        headers: Vec<(String, String)>,
    },
    /// That a service serves (`grpc.health.v1.Health/Check`).
    Grpc {
        /// Its name, often empty: the server as a whole.
        service: String,
    },
}
