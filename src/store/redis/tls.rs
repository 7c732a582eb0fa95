//! Redis over TLS: whom to trust, and what is said when that fails.

use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{io, net::TcpStream, sync::Arc};

/// Trusts the authorities whose certificates are in the file at `ca`, or else those that the machine trusts.
///
/// # Errors
/// Why there is nobody to trust.
pub(super) fn trust(ca: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let unreadable = |error: &dyn std::fmt::Display| format!("the certificates in `{path}` can't be read: {error}");
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"there is none"));
        }
    } else {
        // What of the machine's own can't be read serves nobody, and does not matter while there is another.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this machine trusts no authority; name the certificate of one with `?ca=/PATH`".to_owned());
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Agrees with the server on how to go on. A socket that stands still ends it by its own timeouts.
pub(super) fn shake_hands(
    mut socket: TcpStream,
    host: &str,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut client = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while client.is_handshaking() {
        client.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(client, socket))
}

/// What to say of an error of TLS, and what to do about it; nothing where it is of another kind.
pub(super) fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "nobody who is trusted here has signed its certificate; name the certificate of who has with `?ca=/PATH` at the \
             end of the address"
                .to_owned()
        }
        Error::InvalidCertificate(fault) => format!("its certificate does not hold: {fault}; it needs another one"),
        other => other.to_string(),
    })
}
