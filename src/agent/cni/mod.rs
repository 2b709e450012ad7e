//! CNI plug-ins (CNI specification 1.1): what `ADD` and `DEL` do, with request and result as the real ones give them.

pub(super) mod bridge;
pub(super) mod flannel;
