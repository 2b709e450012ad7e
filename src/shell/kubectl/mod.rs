//! `kubectl` of about version 1.35: what it asks of the API server, and what it prints.
//!
//! Reading verbs answer at once from the tables of the moment; verbs that change something are processes that send
//! requests to the API server, as a controller does.

mod about;
mod access;
mod age;
mod attach;
mod change;
mod cluster;
mod cp;
mod debug;
mod describe;
mod events;
mod exec;
mod explain;
mod flags;
mod forward;
mod get;
mod gotemplate;
mod json;
mod jsonpath;
mod kyaml;
mod labels;
mod logs;
mod print;
mod raw;
mod rbac;
mod resources;
mod rules;
mod scale;
mod select;
mod status;
mod table;
mod usual_roles;
mod view;
mod watch;
mod yaml;

pub use yaml::yaml as to_yaml;

use super::out::{not_simulated, refuse};
use super::{Command, Context};
use change::{apply, autoscale, create, delete, diff, drain, edit, fields, node, rollout, run, set, wait};

/// Verbs of the real client that are not simulated.
const OTHERS: [&str; 7] = ["alpha", "certificate", "completion", "kustomize", "options", "plugin", "proxy"];

/// Puts global flags that stand before the verb behind it, and takes out in whose name the request is made.
fn put_behind_verb(own: &mut Vec<String>) -> Result<Option<rbac::Who>, String> {
    let before = own.iter().take_while(|word| word.starts_with('-')).count();
    let first = own.first().cloned();
    let who = rbac::impersonated(own);
    let before = before.min(own.iter().take_while(|word| word.starts_with('-')).count());
    if before > 0 {
        let takes = matches!(first.as_deref(), Some("-n" | "--namespace"));
        if takes && own.len() == before {
            let flag = if own[0] == "-n" { "'n' in -n" } else { "--namespace" };
            return Err(format!("error: flag needs an argument: {flag}\nSee 'kubectl --help' for usage.\n"));
        }
        let count = (before + usize::from(takes)).min(own.len());
        let flags: Vec<String> = own.drain(..count).collect();
        let end = own.iter().position(|word| word == "--").unwrap_or(own.len());
        own.splice(end..end, flags);
    }
    Ok(who)
}

/// Runs `kubectl` with these words after its name.
pub(super) fn kubectl(context: &Context<'_>, words: &[String]) -> Command {
    let mut own: Vec<String> = words.to_vec();
    let who = match put_behind_verb(&mut own) {
        Ok(who) => who,
        Err(text) => return refuse(text, 1),
    };
    let Some((verb, rest)) = own.split_first() else {
        return refuse("error: a command such as \"get\" is required\n", 1);
    };
    let (inventory, namespace) = (context.inventory, context.kube_namespace);
    let names_file = rest.iter().any(|word| word.starts_with("-f") || word.starts_with("--filename"));
    if let Some(who) = &who
        && let Err(text) = rbac::judge(inventory, namespace, who, (verb, rest))
    {
        return refuse(text, 1);
    }
    match verb.as_str() {
        "get" => get(context, rest),
        "debug" => debug::debug(context, rest),
        "describe" => describe::describe(inventory, namespace, rest),
        "events" => about::events(inventory, namespace, rest),
        "api-resources" => about::api_resources(rest),
        "api-versions" => about::api_versions(rest),
        "explain" => explain::explain(rest),
        "version" => about::version(rest),
        "cluster-info" => cluster::info(inventory, rest),
        "config" => cluster::config(inventory, rest),
        "auth" => access::auth(context, who.as_ref(), rest),
        "top" => cluster::top(rest),
        "edit" => edit::edit(context, rest),
        "autoscale" => autoscale::autoscale(namespace, rest),
        "apply" => apply::files("apply", namespace, rest),
        "diff" => diff::diff(namespace, rest),
        "replace" => apply::files("replace", namespace, rest),
        "create" if names_file => apply::files("create", namespace, rest),
        "create" => create::create(context, rest),
        "run" => run::run(context, rest),
        "attach" => attach::attach(context, rest),
        "cp" => cp::cp(context, rest),
        "expose" => create::expose(namespace, rest),
        "delete" => delete::delete(namespace, rest),
        "label" => fields::mark("label", namespace, rest),
        "annotate" => fields::mark("annotate", namespace, rest),
        "scale" => fields::scale(namespace, rest),
        "patch" => fields::patch(namespace, rest),
        "set" => set::set(namespace, rest),
        "rollout" => rollout::rollout(namespace, rest),
        "cordon" => node::cordon("cordon", rest),
        "uncordon" => node::cordon("uncordon", rest),
        "drain" => drain::drain(rest),
        "taint" => node::taint(rest),
        "wait" => wait::wait(namespace, rest),
        "exec" => exec::exec(context, rest),
        "port-forward" => forward::forward(context, rest),
        "logs" => logs::logs(context, rest),
        verb if OTHERS.contains(&verb) => {
            let (text, status) = not_simulated("kubectl", verb);
            refuse(text, status)
        }
        verb => refuse(format!("error: unknown command \"{verb}\" for \"kubectl\"\n"), 1),
    }
}

fn get(context: &Context<'_>, words: &[String]) -> Command {
    match words.iter().find(|word| !word.starts_with('-')).map(String::as_str) {
        Some("componentstatuses" | "componentstatus" | "cs") => about::component_statuses(words),
        _ => get::get(context, words),
    }
}
