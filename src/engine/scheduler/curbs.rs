//! What people hold back or slow down in an office: see [`super::issuer::Issuer::set_curbs`].

use std::time::Duration;

use crate::ids::ServiceId;

/// What people hold back or slow down; the default is the ordinary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curbs {
    /// Workers take no tickets; they finish what they hold. Their free seats are not staffed
    /// meanwhile: utilisation is that of seats that would take a ticket.
    pub is_on_strike: bool,
    /// Services whose tickets are not handed out.
    pub blocked: Vec<ServiceId>,
    /// How long a round of handing out tickets is put off once there is a ticket and a seat for it,
    /// in office time.
    pub delay: Duration,
}
