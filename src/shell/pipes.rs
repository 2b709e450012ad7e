//! Which pipes run all their commands at once.

use super::{Dialect, Node, Piece, Simple};
use std::sync::Arc;

/// Programs that read standard input as it comes, and do something with it at once.
const READ_AS_IT_COMES: [&str; 6] = ["nc", "netcat", "nc.openbsd", "nc.traditional", "ncat", "telnet"];

/// Commands that write all they have to write at one moment.
const AT_ONE_MOMENT: [&str; 18] = [
    ":", "[", "awk", "base64", "cat", "cd", "cut", "echo", "false", "grep", "head", "printf", "sed", "seq",
    "sort", "tail", "test", "true",
];

/// Whether the commands of a pipe have to run at once: the last one reads its input as it comes, and the ones before
/// take their time. Any other pipe comes to the same when its commands run one after the other.
pub fn runs_at_once(nodes: &[Arc<Node>]) -> bool {
    let Some((last, before)) = nodes.split_last() else { return false };
    reads_as_it_comes(last) && before.iter().any(|node| takes_time(node))
}

/// The pipe behind `time`, in a shell whose `time` measures whole pipes.
pub fn timed_pipe(nodes: &[Arc<Node>], dialect: &Dialect) -> Option<Arc<Node>> {
    let (first, rest) = nodes.split_first()?;
    let Node::Simple(simple) = &**first else { return None };
    if !dialect.times_pipes() || plain_words(simple).first() != Some(&"time") || simple.words.len() < 2 {
        return None;
    }
    let first = Simple { words: simple.words[1..].to_vec(), ..simple.clone() };
    let nodes = std::iter::once(Arc::new(Node::Simple(first))).chain(rest.iter().cloned()).collect();
    Some(Arc::new(Node::Pipe(nodes)))
}

/// The words of a command as far as they are plain text.
fn plain_words(simple: &Simple) -> Vec<&str> {
    let plain = simple.words.iter().map(|word| match word.0.as_slice() {
        [Piece::Text(text)] => text.as_str(),
        _ => "",
    });
    plain.collect()
}

fn reads_as_it_comes(node: &Node) -> bool {
    let Node::Simple(simple) = node else { return false };
    let words = plain_words(simple);
    let mut words = words.as_slice();
    while let ["exec" | "busybox", rest @ ..] | ["timeout", _, rest @ ..] = words {
        words = rest;
    }
    let program = words.first().and_then(|word| word.rsplit('/').next());
    program.is_some_and(|program| READ_AS_IT_COMES.contains(&program))
}

fn takes_time(node: &Node) -> bool {
    match node {
        Node::Simple(simple) => plain_words(simple).first().is_some_and(|word| !AT_ONE_MOMENT.contains(word)),
        Node::Loop { .. } => true,
        Node::Pipe(nodes) => nodes.iter().any(|node| takes_time(node)),
        Node::Not(inner) | Node::For(_, _, inner) => takes_time(inner),
        Node::And(left, right) | Node::Or(left, right) => takes_time(left) || takes_time(right),
        Node::List(items) => items.iter().any(|(item, _)| takes_time(item)),
        Node::Case(_, arms) => arms.iter().any(|(_, body)| takes_time(body)),
        Node::If(condition, yes, no) => {
            takes_time(condition) || takes_time(yes) || no.as_ref().is_some_and(|no| takes_time(no))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_into_a_connection_runs_at_once_where_its_input_takes_time() {
        let at_once = |line: &str| {
            let Ok(node) = super::super::parse(line) else { panic!("{line} is a line") };
            let Node::Pipe(nodes) = &*node else { panic!("{line} is a pipe") };
            runs_at_once(nodes)
        };
        assert!(at_once("(echo a; sleep 1; echo b) | nc 10.0.0.1 80"));
        assert!(at_once("while true; do echo a; done | busybox nc 10.0.0.1 80"));
        assert!(at_once("sleep 5 | timeout 3 /bin/nc -l 80"));
        assert!(!at_once("printf hello | nc 10.0.0.1 80"));
        assert!(!at_once("(sleep 1; echo b) | cat"));
    }
}
