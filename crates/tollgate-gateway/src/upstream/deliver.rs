//! What the gate tells others by itself, and what it asks for itself, through the guarded client.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use tollgate_core::deliver::{Deliver, Delivered, Parcel};
use tollgate_core::identity::{Asking, Fetch, Fetching};
use tollgate_core::secret::Secret;

use super::egress;
use crate::gate::Gate;

impl Fetch for Gate {
    fn fetch(&self, uri: Uri, private: bool) -> Fetching<'_> {
        let private = private || self.runtime().snapshot.egress.private_addresses;
        Box::pin(json_at(self, uri, private))
    }

    fn post(&self, uri: Uri, form: String, authorization: Option<Secret>, private: bool) -> Fetching<'_> {
        let private = private || self.runtime().snapshot.egress.private_addresses;
        Box::pin(async move {
            let mut request = Request::new(Bytes::from(form));
            *request.uri_mut() = uri;
            *request.method_mut() = Method::POST;
            let headers = request.headers_mut();
            headers
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            if let Some(authorization) = authorization {
                let value = HeaderValue::from_str(authorization.expose());
                headers.insert(header::AUTHORIZATION, value.map_err(|_| "the secret cannot be sent")?);
            }
            egress::exactly(self, request, private).await.map(|bytes| bytes.to_vec())
        })
    }

    fn ask(&self, request: Request<Vec<u8>>, private: bool) -> Asking<'_> {
        let private = private || self.runtime().snapshot.egress.private_addresses;
        Box::pin(async move {
            let answer = egress::answered(self, request.map(Bytes::from), private).await?;
            Ok(answer.map(|body| body.to_vec()))
        })
    }

    fn fetch_for_stranger(&self, uri: Uri) -> Fetching<'_> {
        Box::pin(json_at(self, uri, false))
    }
}

async fn json_at(gate: &Gate, uri: Uri, private: bool) -> Result<Vec<u8>, String> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    egress::exactly(gate, request, private).await.map(|bytes| bytes.to_vec())
}

impl Deliver for Gate {
    fn deliver(&self, parcel: Parcel) -> Delivered<'_> {
        Box::pin(async move {
            let sign = parcel.sign.clone();
            let mut request = Request::new(Bytes::from(parcel.body));
            *request.uri_mut() = parcel.uri;
            *request.method_mut() = parcel.method;
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(parcel.content_type));
            request.headers_mut().extend(parcel.headers.into_iter().map(|(name, value)| (Some(name), value)));
            if let Some(cloud) = &sign {
                self.credentials.sign_object(self, cloud, &mut request).await?;
            }
            egress::deliver(request).await
        })
    }

    fn note(&self, event: &'static str, detail: serde_json::Value) {
        self.event(event, None, detail);
    }
}
