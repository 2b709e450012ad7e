//! Tokens of accounts (`pkg/registry/core/serviceaccount/storage/token.go`, `pkg/serviceaccount/claims.go`).
//!
//! *Simplified*: a token is signed by chance, for the API server has no key here and nobody looks at the signature.

use super::control::ControlPlane;
use super::serve::resource;
use super::world::World;
use crate::api::ApiError;
use crate::base::{Duration, ObjectKey};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Who signs, and for whom where nobody is named (`--service-account-issuer`).
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// How long a token holds where nothing is said of that, in seconds.
const DEFAULT_SECS: i64 = 3_600;
/// At least so long.
const LEAST_SECS: i64 = 600;
/// Length of a signature (RS256 with 2048 bits), in octets.
const SIGNATURE_LEN: usize = 256;

impl ControlPlane {
    /// Makes a token for an account (`serviceaccounts/NAME/token`).
    pub(super) fn token(
        &mut self,
        world: &mut dyn World,
        account: &ObjectKey,
        request: &Value,
    ) -> Result<Value, ApiError> {
        let spec = &request["spec"];
        let uid = self.uid_of(account)?;
        let secs = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECS);
        let why = match secs {
            ..LEAST_SECS => Some("may not specify a duration less than 10 minutes"),
            _ if secs > 1 << 32 => Some("may not specify a duration larger than 2^32 seconds"),
            _ => None,
        };
        if let Some(why) = why {
            let error = format!("spec.expirationSeconds: Invalid value: {secs}: {why}");
            return Err(ApiError::invalid("TokenRequest.authentication.k8s.io", "", &[error]));
        }
        let mut of_cluster: BTreeMap<String, Value> = BTreeMap::new();
        of_cluster.insert("namespace".to_owned(), json!(&*account.namespace));
        of_cluster.insert("serviceaccount".to_owned(), json!({ "name": &*account.name, "uid": uid }));
        let bound = &spec["boundObjectRef"];
        if bound.is_object() {
            self.bind_token(account, bound, &mut of_cluster)?;
        }
        let audiences = match spec["audiences"].as_array() {
            Some(given) if !given.is_empty() => json!(given),
            _ => json!([ISSUER]),
        };
        let now = world.now();
        let begin = now.unix_secs() as i64;
        let claims = json!({
            "aud": audiences,
            "exp": begin + secs,
            "iat": begin,
            "iss": ISSUER,
            "jti": identity(world),
            "kubernetes.io": of_cluster,
            "nbf": begin,
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
        });
        let system = self.uid_of(&ObjectKey::new("Namespace", "", "kube-system")).unwrap_or_default();
        let key = BASE64URL_NOPAD.encode(&Sha256::digest(system.as_bytes()));
        let header = format!("{{\"alg\":\"RS256\",\"kid\":\"{key}\"}}");
        let signature: Vec<u8> = (0..SIGNATURE_LEN).map(|_| world.rng().u8(..)).collect();
        let parts = [header.into_bytes(), claims.to_string().into_bytes(), signature];
        let token = parts.map(|part| BASE64URL_NOPAD.encode(&part)).join(".");
        Ok(json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "metadata": {
                "name": &*account.name, "namespace": &*account.namespace,
                "creationTimestamp": now.rfc3339(),
            },
            "spec": {
                "audiences": audiences, "expirationSeconds": secs,
                "boundObjectRef": if bound.is_object() { bound.clone() } else { Value::Null },
            },
            "status": {
                "token": token,
                "expirationTimestamp": (now + Duration::from_secs(secs.unsigned_abs())).rfc3339(),
            },
        }))
    }

    fn uid_of(&self, key: &ObjectKey) -> Result<String, ApiError> {
        let row = self.objects.get(key);
        row.map(|row| row.uid.to_string()).ok_or_else(|| ApiError::not_found(&resource(&key.kind), &key.name))
    }

    /// Notes the object that a token goes with.
    fn bind_token(
        &self,
        account: &ObjectKey,
        bound: &Value,
        claims: &mut BTreeMap<String, Value>,
    ) -> Result<(), ApiError> {
        let text = |field: &str| bound[field].as_str().unwrap_or_default();
        let (kind, name, given) = (text("kind"), text("name"), text("uid"));
        let key = ObjectKey::new(kind, &account.namespace, name);
        let uid = self.uid_of(&key)?;
        if let Some(pod) = self.objects.get(&key).filter(|_| kind == "Pod") {
            let own = pod.text(&["spec", "serviceAccountName"]).unwrap_or("default");
            if own != &*account.name {
                let why = format!(
                    "cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
                    account.name
                );
                return Err(ApiError::bad_request(why));
            }
            let entry = self.store.pod_named(&key.namespace, name).and_then(|key| self.store.pods.get(key));
            if let Some(node) = entry.and_then(|entry| entry.node.as_deref()) {
                let uid = self.uid_of(&ObjectKey::new("Node", "", node)).unwrap_or_default();
                claims.insert("node".to_owned(), json!({ "name": node, "uid": uid }));
            }
        }
        if !given.is_empty() && given != uid {
            let why = format!(
                "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been \
                 deleted and then recreated"
            );
            let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
            return Err(ApiError { code: 409, reason: "Conflict", message });
        }
        claims.insert(kind.to_lowercase(), json!({ "name": name, "uid": uid }));
        Ok(())
    }
}

/// A random identity (RFC 9562, version 4).
fn identity(world: &mut dyn World) -> String {
    let text = super::control::hex(world, 32);
    let parts = [&text[..8], &text[8..12], &text[13..16], &text[17..20], &text[20..]];
    let [first, second, third, fourth, last] = parts;
    format!("{first}-{second}-4{third}-a{fourth}-{last}")
}
