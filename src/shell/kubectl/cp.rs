//! `kubectl cp`: a file, or a directory, from or to a container.

use super::exec::place;
use super::flags::{read, switch, value};
use crate::shell::out::{Out, refuse};
use crate::shell::{Command, Context, Copying, Way};

/// A file as the command line names it.
struct Spec {
    /// The Pod, and its namespace where that is named.
    pod: Option<(Option<String>, String)>,
    path: String,
}

impl Spec {
    fn read(word: &str) -> Result<Self, String> {
        const FORM: &str = "error: filespec must match the canonical format: [[namespace/]pod:]file/path\n";
        let Some((pod, path)) = word.split_once(':') else {
            return Ok(Self { pod: None, path: word.to_owned() });
        };
        let pod = match pod.split('/').collect::<Vec<_>>()[..] {
            [""] => return Err(FORM.to_owned()),
            [name] => (None, name.to_owned()),
            [namespace, name] => {
                (Some(namespace.to_owned()).filter(|name| !name.is_empty()), name.to_owned())
            }
            _ => return Err(FORM.to_owned()),
        };
        Ok(Self { pod: Some(pod).filter(|(_, name)| !name.is_empty()), path: path.to_owned() })
    }
}

/// `kubectl cp` with these words after it.
pub(super) fn cp(context: &Context<'_>, words: &[String]) -> Command {
    match prepared(context, words) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// A file of the client's machine, or those below a directory.
fn files_at(context: &Context<'_>, path: &str) -> Vec<(String, Vec<u8>)> {
    if let Some(bytes) = (context.bytes)(path) {
        return vec![(String::new(), bytes)];
    }
    let top = path.trim_end_matches('/');
    let below = (context.below)(path).into_iter();
    below.filter_map(|name| Some((name.clone(), (context.bytes)(&format!("{top}/{name}"))?))).collect()
}

fn prepared(context: &Context<'_>, words: &[String]) -> Result<Command, String> {
    let known = [value("container", 'c'), switch("no-preserve", ' '), value("retries", ' ')];
    let words = read("cp", &known, &[], words)?;
    let [from, to] = &words.operands[..] else {
        return Err("error: source and destination are required\n".to_owned());
    };
    let (from, to) = (Spec::read(from)?, Spec::read(to)?);
    if from.pod.is_some() && to.pod.is_some() {
        return Err("error: one of src or dest must be a local file specification\n".to_owned());
    }
    if from.path.is_empty() || to.path.is_empty() {
        return Err("error: filepath can not be empty\n".to_owned());
    }
    let (pod, local, remote, way) = match (from.pod, to.pod) {
        (Some(pod), _) => (pod, to.path, from.path, Way::From),
        (None, Some(pod)) => {
            let files = files_at(context, &from.path);
            if files.is_empty() {
                return Err(format!("error: {} doesn't exist in local filesystem\n", from.path));
            }
            (pod, from.path, to.path, Way::Into(files))
        }
        (None, None) => {
            return Err("error: one of src or dest must be a remote file specification\n".to_owned());
        }
    };
    let namespace = pod.0.unwrap_or_else(|| words.namespace(context.kube_namespace).to_owned());
    let mut out = Out::default();
    let Some((name, container)) = place(
        context,
        (&namespace, &format!("pod/{}", pod.1)),
        words.value("container"),
        (false, false),
        &mut out,
    )?
    else {
        return Ok(out.done(1));
    };
    let output = out.into_pieces();
    Ok(Command::Copy(Box::new(Copying { output, pod: (namespace, name), container, way, local, remote })))
}
