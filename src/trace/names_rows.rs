//! What DNS servers did with questions, plugin by plugin.

use crate::base::NetnsId;
use std::sync::Arc;

/// A plugin of a CoreDNS did something with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesRow {
    /// The namespace of the server.
    pub netns: NetnsId,
    /// Number of the question in this server, from 0.
    pub query: u32,
    /// The client as `IP:PORT`.
    pub client: Arc<str>,
    /// The question as `NAME TYPE`.
    pub question: Arc<str>,
    /// The plugin, or `server` for the server itself.
    pub plugin: &'static str,
    /// What it did: a key of the catalogue of words.
    pub did: &'static str,
    /// Arguments of the words.
    pub args: Vec<String>,
}
