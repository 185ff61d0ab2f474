//! Serving: from a listening socket to the nine phases.

mod accept;
mod forwarded;
mod google;
mod io;
mod managed;
mod resource;
mod routes;
mod site;
mod status;
mod tls;

pub use accept::serve;
pub use managed::{Managed, ManagedBody};
pub(crate) use routes::decoded;
pub use routes::handle;
pub use site::Site;
pub use tls::acceptor;
pub use tokio_rustls::TlsAcceptor;
