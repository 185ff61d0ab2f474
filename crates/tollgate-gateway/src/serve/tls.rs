//! TLS by certificate files.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tollgate_core::config::file::TlsFiles;

/// What accepts TLS connections with the certificate in `files`; `Err` says which file is wrong and how.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, String> {
    let path = files.certificate.display();
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("tls.certificate {path}: {e}"))?;
    if certificates.is_empty() {
        return Err(format!("tls.certificate {path}: holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| format!("tls.key {}: {e}", files.key.display()))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|e| format!("tls.certificate {path} and its key: {e}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
