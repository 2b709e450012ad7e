//! The kubelet's image manager (`pkg/kubelet/images`): it pulls what is not there, and waits longer after each failure.

use super::containers;
use super::control::ControlPlane;
use super::controllers::Kind;
use super::store::PodKey;
use super::world::{Patience, World};
use crate::base::Duration;
use crate::cluster::pull::{self, Policy};
use crate::cluster::reference;
use crate::trace::ContainerState;
use std::sync::Arc;

/// The first back-off after a failed pull and the longest (`imageBackOff`).
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// How long a registry takes to say that it has no such image.
const REFUSAL: Duration = Duration::from_ms(600);
/// How soon the kubelet looks at the Pod again after a failure.
const SYNC: Duration = Duration::from_ms(1_500);

/// Where the kubelet stands with a container's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pull {
    /// Nothing is under way.
    #[default]
    Idle,
    /// The registry was asked; whether it has the image.
    Asked(bool),
    /// It failed; the next try comes after this back-off, which has been told of or not.
    BackOff(Duration, bool),
}

/// Sees to it that a container's image is there; whether it is.
pub(super) fn ensure(control: &mut ControlPlane, world: &mut dyn World, key: &PodKey, index: usize) -> bool {
    let Some(entry) = control.store.pods.get_mut(key) else { return false };
    let Some(spec) = entry.spec_of(index).cloned() else { return false };
    let image = spec.image.clone().unwrap_or_default();
    if let Some(why) = reference::objection(&image) {
        let why = format!("couldn't parse image name \"{image}\": {why}");
        let message = format!("Failed to apply default image tag \"{image}\": {why}");
        waits(control, key, index, ("InvalidImageName", &message));
        tell(control, world, (key, index), Kind::Warning, ("InspectFailed", message));
        tell(control, world, (key, index), Kind::Warning, ("Failed", "Error: InvalidImageName".to_owned()));
        control.record_pod(world, key);
        containers::wait(control, world, (key, index), (BACK_OFF, Patience::Patient));
        containers::passed(control, world, key, index);
        return false;
    }
    let node = entry.node.clone().unwrap_or_else(|| "".into());
    let missing = pull::is_missing(&image, &entry.pod.metadata.annotations);
    let held = control.store.nodes.get(&node).is_some_and(|node| node.images.contains(&*image));
    match (Policy::of(spec.image_pull_policy.as_deref(), &image), held) {
        (Policy::IfNotPresent | Policy::Never, true) => {
            // Since 1.35 the kubelet looks whether the Pod may use it (`KubeletEnsureSecretPulledImages`).
            let present = "already present on machine and can be accessed by the pod";
            let message = format!("Container image \"{image}\" {present}");
            tell(control, world, (key, index), Kind::Normal, ("Pulled", message));
            true
        }
        (Policy::Never, false) => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            waits(control, key, index, ("ErrImageNeverPull", &message));
            tell(control, world, (key, index), Kind::Warning, ("ErrImageNeverPull", message));
            tell(
                control,
                world,
                (key, index),
                Kind::Warning,
                ("Failed", "Error: ErrImageNeverPull".to_owned()),
            );
            control.record_pod(world, key);
            containers::wait(control, world, (key, index), (BACK_OFF, Patience::Patient));
            containers::passed(control, world, key, index);
            false
        }
        (Policy::Always, _) | (Policy::IfNotPresent, false) => {
            tell(
                control,
                world,
                (key, index),
                Kind::Normal,
                ("Pulling", format!("Pulling image \"{image}\"")),
            );
            let took = if missing { REFUSAL } else { pull::duration(&image, held) };
            set(control, key, index, Pull::Asked(!missing));
            containers::wait(control, world, (key, index), (took, Patience::Prompt));
            false
        }
    }
}

fn set(control: &mut ControlPlane, key: &PodKey, index: usize, pull: Pull) {
    if let Some(entry) = control.store.pods.get_mut(key) {
        entry.runtime(index).pull = pull;
    }
}

fn tell(
    control: &ControlPlane,
    world: &mut dyn World,
    (key, index): (&PodKey, usize),
    kind: Kind,
    (reason, message): (&str, String),
) {
    control.pod_event(world, (key, Some(index)), kind, reason, message);
}

/// A container waits for this reason.
pub(super) fn waits(control: &mut ControlPlane, key: &PodKey, index: usize, (reason, message): (&str, &str)) {
    if let Some(row) = control.store.pods.get_mut(key).and_then(|entry| entry.containers.get_mut(index)) {
        row.state = ContainerState::Waiting(reason.into());
        row.message = Some(message.into());
    }
}

/// The time of a pull or of a back-off is over; whether the image is there now.
pub(super) fn go_on(
    control: &mut ControlPlane,
    world: &mut dyn World,
    key: &PodKey,
    (index, pull): (usize, Pull),
) -> bool {
    let Some(entry) = control.store.pods.get_mut(key) else { return false };
    let image: Arc<str> = entry.containers[index].image.clone();
    match pull {
        Pull::Idle => false,
        Pull::Asked(true) => {
            let node = entry.node.clone().unwrap_or_else(|| "".into());
            entry.runtime(index).pull = Pull::Idle;
            let held =
                control.store.nodes.get_mut(&node).is_some_and(|node| !node.images.insert(image.clone()));
            let took = pull::duration(&image, held).as_ms();
            let size = pull::size(&image);
            let took = if took < 1000 {
                format!("{took}ms")
            } else {
                format!("{}.{:03}s", took / 1000, took % 1000)
            };
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({took} including waiting). Image size: {size} bytes."
            );
            tell(control, world, (key, index), Kind::Normal, ("Pulled", message));
            true
        }
        Pull::Asked(false) => {
            let last = entry.runtime(index).image_back_off;
            let next = last.map_or(BACK_OFF, |last| (last + last).min(BACK_OFF_MAX));
            let runtime = entry.runtime(index);
            runtime.image_back_off = Some(next);
            runtime.pull = Pull::BackOff(next, false);
            let asked = reference::full(&image);
            let why = format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{asked}\": failed to resolve reference \
                 \"{asked}\": {asked}: not found"
            );
            let message = format!("Failed to pull image \"{image}\": {why}");
            waits(control, key, index, ("ErrImagePull", &why));
            tell(control, world, (key, index), Kind::Warning, ("Failed", message));
            tell(control, world, (key, index), Kind::Warning, ("Failed", "Error: ErrImagePull".to_owned()));
            control.record_pod(world, key);
            containers::wait(control, world, (key, index), (SYNC, Patience::Prompt));
            containers::passed(control, world, key, index);
            false
        }
        Pull::BackOff(back_off, false) => {
            let message = format!("Back-off pulling image \"{image}\"");
            let longer = entry.containers[index].message.as_deref().unwrap_or("").to_owned();
            entry.runtime(index).pull = Pull::BackOff(back_off, true);
            let longer = format!("{message}: ErrImagePull: {longer}");
            waits(control, key, index, ("ImagePullBackOff", &longer));
            tell(control, world, (key, index), Kind::Normal, ("BackOff", message));
            tell(
                control,
                world,
                (key, index),
                Kind::Warning,
                ("Failed", "Error: ImagePullBackOff".to_owned()),
            );
            control.record_pod(world, key);
            containers::wait(control, world, (key, index), (back_off, Patience::Patient));
            false
        }
        Pull::BackOff(_, true) => {
            entry.runtime(index).pull = Pull::Idle;
            ensure(control, world, key, index)
        }
    }
}
