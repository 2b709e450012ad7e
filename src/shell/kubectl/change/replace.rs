//! `kubectl replace --force`: objects are deleted and made anew (`forceReplace`).

use super::manifests::{Read, complain};
use super::{Next, POLL, fail, key, read, refusal, report, say, shown, type_of};
use crate::api::{ApiRequest, Propagation};
use crate::app::Os;
use crate::base::ObjectKey;
use crate::shell::kubectl::json::text;
use serde_json::Value;
use std::rc::Rc;

/// Deletes what is there, waits until it is gone, and makes it anew.
pub(super) fn forced(os: &mut dyn Os, found: Vec<Read>, output: Option<String>) -> Next {
    let (mut objects, mut going) = (Vec::new(), Vec::new());
    for one in found {
        match one.object {
            Ok(object) => objects.push(object),
            Err(wrong) => return Next::Done(fail(os, wrong.text())),
        }
    }
    for object in &objects {
        let Some(resource) = type_of(object) else { continue };
        let key = key(resource, text(object, "metadata.namespace"), text(object, "metadata.name"));
        let propagation = Some(Propagation::Background);
        match os.api(&ApiRequest::Delete { key: key.clone(), propagation, grace_seconds: None }) {
            Ok(old) => {
                let place = match &*key.namespace {
                    "" => String::new(),
                    namespace => format!(" from {namespace} namespace"),
                };
                say(os, &format!("{} \"{}\" deleted{place}\n", resource.singular(), key.name));
                going.push((key, text(&old, "metadata.uid").to_owned()));
            }
            Err(error) if error.code == 404 => {}
            Err(error) => return Next::Done(fail(os, &refusal(&error, ""))),
        }
    }
    made_anew(os, Rc::new(objects), going, output)
}

fn made_anew(
    os: &mut dyn Os,
    objects: Rc<Vec<Value>>,
    mut going: Vec<(ObjectKey, String)>,
    output: Option<String>,
) -> Next {
    going.retain(|(key, uid)| read(os, key).is_ok_and(|object| text(&object, "metadata.uid") == uid));
    if !going.is_empty() {
        let again = move |os: &mut dyn Os| made_anew(os, objects.clone(), going.clone(), output.clone());
        return Next::Later(POLL, Rc::new(again));
    }
    let mut messages = Vec::new();
    for object in objects.iter() {
        let Some(resource) = type_of(object) else { continue };
        match os.api(&ApiRequest::Create(object.clone())) {
            Ok(made) => {
                let line = format!("{} replaced\n", shown(resource, text(&made, "metadata.name")));
                report(os, output.as_deref(), &made, &line);
            }
            Err(error) => messages.push(refusal(&error, "")),
        }
    }
    Next::Done(complain(os, &messages))
}
