//! Does what a command line asks for, on the copy of the tables.

use super::Failure;
use super::command::{Order, Verb};
use super::list::{self, Format};
use super::model::{Model, ModelChain, ModelRule, ModelTable};
use super::validate;
use crate::shell::out::Out;
use crate::xtables::{Policy, Rule, Table};

const NO_CHAIN: &str = "No chain/target/match by that name.";
const BAD_RULE: &str = "Bad rule (does a matching rule exist in that chain?).";
/// Longest name of a chain, with the byte that ends it.
const NAME_MAX: usize = 29;

/// Carries out an order.
pub(super) fn perform(
    model: &mut Model,
    table: Table,
    order: &Order,
    format: &Format<'_>,
    out: &mut Out,
) -> Result<(), Failure> {
    let chain = order.chain.as_deref();
    let name = chain.unwrap_or_default();
    match &order.verb {
        Verb::Append | Verb::Insert(_) => add(model, table, order, out),
        Verb::Replace(place) => replace(model, table, order, *place, out),
        Verb::DeleteAt(place) => {
            let chain = chain_mut(model, table, name)?;
            if *place > chain.rules.len() {
                return Err(Failure::plain("Index of deletion too big."));
            }
            chain.rules.remove(place - 1);
            Ok(())
        }
        Verb::Delete => with_each(model, table, order, out, |chain, at| {
            chain.rules.remove(at);
        }),
        Verb::Check => with_each(model, table, order, out, |_, _| {}),
        Verb::List(place) => {
            shown(model, table, chain)?;
            out.out(list::list(model.table(table), chain, *place, format));
            zero_too(model, table, order, out);
            Ok(())
        }
        Verb::ListRules(place) => {
            shown(model, table, chain)?;
            out.out(list::rules(model.table(table), chain, *place, order.verbose));
            zero_too(model, table, order, out);
            Ok(())
        }
        Verb::Flush => flush(model, table, order, out),
        Verb::Zero(place) => zero(model, table, order, *place, out),
        Verb::New => new_chain(model, table, name),
        Verb::DelChain => del_chains(model, table, order, out),
        Verb::Rename(new) => rename(model, table, name, new),
        Verb::Policy(policy) => set_policy(model, table, name, policy),
    }
}

fn chain_mut<'a>(model: &'a mut Model, table: Table, name: &str) -> Result<&'a mut ModelChain, Failure> {
    model.table_mut(table).find_mut(name).ok_or_else(|| Failure::plain(NO_CHAIN))
}

fn shown(model: &Model, table: Table, chain: Option<&str>) -> Result<(), Failure> {
    match chain {
        Some(name) if model.table(table).find(name).is_none() => {
            let (name, table) = (name.to_owned(), table.name());
            let text = format!("chain `{name}' in table `{table}' is incompatible, use 'nft' tool.");
            Err(Failure::Other(text, 1))
        }
        _ => Ok(()),
    }
}

/// The error of the kernel for a rule of a table, as the tool reports it, with the line that the rule stood in.
pub(super) fn kernel_check(model: &Model, table: Table, verb: &Verb) -> Result<(), (usize, Failure)> {
    let what = match verb {
        Verb::Insert(_) => "RULE_INSERT",
        Verb::Replace(_) => "RULE_REPLACE",
        Verb::Append
        | Verb::DeleteAt(_)
        | Verb::Delete
        | Verb::Check
        | Verb::List(_)
        | Verb::ListRules(_)
        | Verb::Flush
        | Verb::Zero(_)
        | Verb::New
        | Verb::DelChain
        | Verb::Rename(_)
        | Verb::Policy(_) => "RULE_APPEND",
    };
    validate::check(table, model.table(table)).map_err(|(errno, chain, line)| {
        (line, Failure::Kernel(format!("{what} failed ({errno}): rule in chain {chain}")))
    })
}

fn check_target(table: &ModelTable, rule: &Rule) -> Result<(), Failure> {
    match rule.jumps_to() {
        Some(name) if table.find(name).is_none() => {
            Err(Failure::Usage(format!("Chain '{name}' does not exist")))
        }
        _ => Ok(()),
    }
}

/// What is checked once all of an order, or of a file, is known.
pub(super) fn check_all(model: &Model, table: Table) -> Result<(), Failure> {
    let rules = model.table(table).chains.iter().flat_map(|chain| &chain.rules);
    for rule in rules.filter(|rule| rule.handle.is_none()) {
        check_target(model.table(table), &rule.rule)?;
    }
    Ok(())
}

fn add(model: &mut Model, table: Table, order: &Order, out: &mut Out) -> Result<(), Failure> {
    let name = order.chain.as_deref().unwrap_or_default();
    for rule in &order.rules {
        if order.verbose {
            out.out(list::verbose(rule));
        }
        let chain = chain_mut(model, table, name)?;
        let new = ModelRule::new(rule.clone(), order.counters.unwrap_or_default(), order.line);
        if let Verb::Insert(place) = order.verb {
            if place > chain.rules.len() + 1 {
                return Err(Failure::plain("Index of insertion too big."));
            }
            chain.rules.insert(place - 1, new);
        } else {
            chain.rules.push(new);
        }
    }
    model.table_mut(table).exists = true;
    Ok(())
}

fn replace(
    model: &mut Model,
    table: Table,
    order: &Order,
    place: usize,
    out: &mut Out,
) -> Result<(), Failure> {
    let name = order.chain.as_deref().unwrap_or_default();
    let Some(rule) = order.rules.first() else { return Ok(()) };
    if order.verbose {
        out.out(list::verbose(rule));
    }
    let chain = chain_mut(model, table, name)?;
    if place > chain.rules.len() {
        return Err(Failure::plain("Index of replacement too big."));
    }
    chain.replace(place - 1, rule.clone(), order.counters.unwrap_or_default());
    Ok(())
}

/// Does something with the first rule of the chain that equals each rule of the order.
fn with_each(
    model: &mut Model,
    table: Table,
    order: &Order,
    out: &mut Out,
    action: impl Fn(&mut ModelChain, usize),
) -> Result<(), Failure> {
    let name = order.chain.as_deref().unwrap_or_default();
    for rule in &order.rules {
        check_target(model.table(table), rule)?;
        let chain = model.table_mut(table).find_mut(name).ok_or_else(|| Failure::plain(BAD_RULE))?;
        let Some(at) = chain.rules.iter().position(|each| *each.rule == *rule) else {
            return Err(Failure::plain(BAD_RULE));
        };
        if order.verbose {
            out.out(list::verbose(rule));
        }
        action(chain, at);
    }
    Ok(())
}

/// After a list, all its chains are zeroed; built-in ones that the kernel does not have come to be.
fn zero_too(model: &mut Model, table: Table, order: &Order, out: &mut Out) {
    if !order.zero_too {
        return;
    }
    let tables = model.table_mut(table);
    tables.exists = true;
    for chain in &mut tables.chains {
        if order.chain.as_deref().is_none_or(|name| *chain.name == *name) {
            if order.verbose && order.chain.is_none() {
                out.out(format!("Zeroing chain `{}'\n", chain.name));
            }
            chain.zero(None);
            if chain.policy.is_some() {
                chain.count(Some((0, 0)));
            }
        }
    }
}

fn zero(
    model: &mut Model,
    table: Table,
    order: &Order,
    place: Option<usize>,
    out: &mut Out,
) -> Result<(), Failure> {
    if let Some(name) = &order.chain {
        chain_mut(model, table, name)?.zero(place.map(|place| place - 1));
        return Ok(());
    }
    for chain in &mut model.table_mut(table).chains {
        if order.verbose && chain.is_made() {
            out.out(format!("Zeroing chain `{}'\n", chain.name));
        }
        chain.zero(None);
    }
    Ok(())
}

fn flush(model: &mut Model, table: Table, order: &Order, out: &mut Out) -> Result<(), Failure> {
    if let Some(name) = &order.chain {
        chain_mut(model, table, name)?;
    }
    for chain in &mut model.table_mut(table).chains {
        if order.chain.as_deref().is_none_or(|name| *chain.name == *name) {
            if order.verbose {
                out.out(format!("Flushing chain `{}'\n", chain.name));
            }
            chain.rules.clear();
        }
    }
    Ok(())
}

/// Whether a chain may have this name (`assert_valid_chain_name`).
fn check_name(name: &str) -> Result<(), Failure> {
    let usage = |text: String| Err(Failure::Usage(text));
    if let Some(first) = name.chars().next().filter(|first| "-!".contains(*first)) {
        return usage(format!("chain name not allowed to start with `{first}'"));
    }
    if name.is_empty() {
        return usage("zero-length chain name".into());
    }
    if name.len() >= NAME_MAX {
        return usage(format!("chain name `{name}' too long (must be under {NAME_MAX} chars)"));
    }
    if crate::xtables::is_target(name) {
        return usage("chain name may not clash with target name".into());
    }
    if name.chars().any(char::is_whitespace) {
        return usage(format!("Invalid chain name `{name}'"));
    }
    Ok(())
}

fn new_chain(model: &mut Model, table: Table, name: &str) -> Result<(), Failure> {
    check_name(name)?;
    let model = model.table_mut(table);
    if model.find(name).is_some() {
        return Err(Failure::plain("Chain already exists."));
    }
    model.exists = true;
    model.add(name);
    Ok(())
}

fn del_chains(model: &mut Model, table: Table, order: &Order, out: &mut Out) -> Result<(), Failure> {
    let tables = model.table_mut(table);
    let names: Vec<_> = match order.chain.as_deref() {
        Some(name) => match tables.find(name) {
            Some(chain) => vec![chain.name.clone()],
            None => return Err(Failure::plain(NO_CHAIN)),
        },
        None => tables
            .chains
            .iter()
            .filter(|chain| chain.policy.is_none())
            .map(|chain| chain.name.clone())
            .collect(),
    };
    if order.chain.is_none() {
        // Built-in chains that say nothing go too, and come again when they are needed.
        let idle = |chain: &&mut ModelChain| chain.policy == Some(Policy::Accept) && chain.rules.is_empty();
        tables.chains.iter_mut().filter(idle).for_each(|chain| chain.count(None));
    }
    for name in &names {
        if order.verbose {
            out.out(format!("Deleting chain `{name}'\n"));
        }
    }
    for name in names {
        let rules = tables.find(&name).map_or(0, |chain| chain.rules.len());
        // A chain is held by its own rules too.
        if tables.references(&name) > 0 || rules > 0 {
            return Err(Failure::Kernel(format!("CHAIN_DEL failed (Device or resource busy): chain {name}")));
        }
        match tables.find_mut(&name) {
            // A built-in chain that goes comes again when it is needed, with its first policy.
            Some(chain) if chain.policy.is_some() => {
                chain.policy = Some(Policy::Accept);
                chain.count(None);
            }
            Some(_) | None => tables.remove(&name),
        }
    }
    Ok(())
}

fn rename(model: &mut Model, table: Table, old: &str, new: &str) -> Result<(), Failure> {
    check_name(new)?;
    let tables = model.table_mut(table);
    if tables.find(new).is_some() {
        return Err(Failure::plain("File exists."));
    }
    match tables.find(old) {
        None => return Err(Failure::plain(NO_CHAIN)),
        // The real tool gives a built-in chain another name and can then no longer list the table.
        Some(chain) if chain.policy.is_some() => return Err(Failure::NotSimulated(format!("-E {old}"))),
        Some(_) => {}
    }
    tables.rename(old, new);
    Ok(())
}

fn set_policy(model: &mut Model, table: Table, name: &str, policy: &str) -> Result<(), Failure> {
    let tables = model.table_mut(table);
    let chain = tables.find_mut(name).filter(|chain| chain.policy.is_some());
    let Some(chain) = chain else { return Err(Failure::plain("Bad built-in chain name.")) };
    chain.policy = Some(match policy {
        "ACCEPT" => Policy::Accept,
        "DROP" => Policy::Drop,
        _ => {
            return Err(Failure::Plain("Bad policy name. Run `dmesg' for more information.".into()));
        }
    });
    // The counters of `-c` do not get there.
    chain.count(Some((0, 0)));
    tables.exists = true;
    Ok(())
}
