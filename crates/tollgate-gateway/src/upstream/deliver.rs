//! What the gate tells others by itself, through the guarded client.

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use tollgate_core::deliver::{Deliver, Delivered, Parcel};

use super::egress;
use crate::gate::Gate;

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
