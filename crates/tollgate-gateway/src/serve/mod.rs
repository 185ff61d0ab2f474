//! Serving: from a listening socket to the nine phases.

mod accept;
mod io;
mod routes;
mod status;
mod tls;

pub use accept::serve;
pub use routes::handle;
pub use tls::acceptor;
pub use tokio_rustls::TlsAcceptor;
