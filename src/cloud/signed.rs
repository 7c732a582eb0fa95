//! Requests to services that are asked too little for a client of their own.

use super::{Cloud, CloudError, error::causes, xml};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, Request};
use object_store::{
    aws::AwsAuthorizer,
    client::{HttpRequestBody, HttpResponseBody},
};
use ring::digest::{SHA256, digest};
use serde_json::Value as Json;

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Who is allowed what.
    Iam,
    /// Who asks.
    Sts,
    /// Buckets and objects.
    S3,
    /// Logs.
    Logs,
}

impl Service {
    /// Its name in policies and signatures.
    const fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::Logs => "logs",
        }
    }

    /// The version of its language.
    const fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            _ => "2011-06-15",
        }
    }
}

impl Cloud {
    /// Asks a service that takes the fields of a form and answers in XML.
    pub(super) fn query(&self, service: Service, action: &str, fields: &[(&str, &str)]) -> Result<String, CloudError> {
        let version = [("Action", action), ("Version", service.version())];
        let pairs = version.iter().chain(fields).map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let (address, region) = self.address(service, None);
        let request = Request::post(address + "/").header("content-type", "application/x-www-form-urlencoded");
        let action = format!("{}:{action}", service.name());
        let (status, said) = self.send(service, &action, region, request.body(body.into()))?;
        if status < 300 { Ok(said) } else { Err(refused(&action, status, &said)) }
    }

    /// Asks the logs' service.
    pub(super) fn logs(&self, action: &str, body: &Json) -> Result<Json, CloudError> {
        let (address, region) = self.address(Service::Logs, None);
        let request = Request::post(address + "/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{action}"));
        let action = format!("logs:{action}");
        let (status, said) = self.send(Service::Logs, &action, region, request.body(body.to_string().into()))?;
        let json: Json = serde_json::from_str(&said).unwrap_or_default();
        if status < 300 {
            return Ok(json);
        }
        let text = |names: [&str; 2]| names.iter().find_map(|name| json[*name].as_str()).unwrap_or_default();
        let code = text(["__type", "code"]);
        Err(CloudError::answered(&action, code.rsplit('#').next().unwrap_or(code), text(["message", "Message"])))
    }

    /// Asks for something about a bucket, such as `?tagging`; `None` when there is no such thing.
    pub(super) fn about_bucket(
        &self,
        action: &str,
        method: Method,
        bucket: &str,
        what: &str,
        body: &str,
    ) -> Result<Option<String>, CloudError> {
        let (address, region) = self.address(Service::S3, Some(bucket));
        let mut request = Request::builder().method(method).uri(format!("{address}/{what}"));
        if !body.is_empty() {
            // Many settings of buckets are only taken with it.
            request = request.header("x-amz-checksum-sha256", BASE64_STANDARD.encode(digest(&SHA256, body.as_bytes())));
        }
        let action = format!("s3:{action}");
        let (status, said) = self.send(Service::S3, &action, region, request.body(body.to_owned().into()))?;
        match status {
            0..300 => Ok(Some(said)),
            404 => Ok(None),
            _ => Err(refused(&action, status, &said)),
        }
    }

    /// Where a service is asked, and the region that the request is signed for.
    fn address(&self, service: Service, bucket: Option<&str>) -> (String, &str) {
        let domain = if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let region = match (service, self.partition()) {
            // There is one for all regions.
            (Service::Iam, "aws") => "us-east-1",
            (Service::Iam, "aws-cn") => "cn-north-1",
            (Service::Iam, _) => "us-gov-west-1",
            _ => &self.region,
        };
        let address = match (&self.endpoint, service, bucket) {
            (Some(endpoint), _, Some(bucket)) => format!("{endpoint}/{bucket}"),
            (Some(endpoint), _, None) => endpoint.clone(),
            (None, Service::S3, Some(bucket)) => format!("https://{bucket}.s3.{region}.{domain}"),
            (None, Service::Iam, _) => match self.partition() {
                "aws" => format!("https://iam.{domain}"),
                "aws-cn" => format!("https://iam.cn-north-1.{domain}"),
                _ => format!("https://iam.us-gov.{domain}"),
            },
            (None, service, _) => format!("https://{}.{region}.{domain}", service.name()),
        };
        (address, region)
    }

    fn send(
        &self,
        service: Service,
        action: &str,
        region: &str,
        request: http::Result<Request<HttpRequestBody>>,
    ) -> Result<(u16, String), CloudError> {
        let unreachable = |reason: String| CloudError::Unreachable { place: self.whom(action), reason };
        let mut request = request.map_err(|error| unreachable(error.to_string()))?;
        let credential = self.credential()?;
        AwsAuthorizer::new(&credential, service.name(), region)
            .try_authorize(&mut request, None)
            .map_err(|error| unreachable(error.to_string()))?;
        self.wait(async {
            let answer = self.http().execute(request).await.map_err(|error| unreachable(causes(&error)))?;
            let (head, body): (_, HttpResponseBody) = answer.into_parts();
            let bytes = body.bytes().await.map_err(|error| unreachable(causes(&error)))?;
            Ok((head.status.as_u16(), String::from_utf8_lossy(&bytes).into_owned()))
        })
    }
}

fn refused(action: &str, status: u16, said: &str) -> CloudError {
    let code = xml::text(said, "Code").unwrap_or_else(|| match status {
        403 => "AccessDenied".into(),
        status => status.to_string(),
    });
    CloudError::answered(action, &code, &xml::text(said, "Message").unwrap_or_default())
}

/// A text in a form.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A text from a form.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_comes_back_from_a_form(text in ".*") {
            prop_assert_eq!(decoded(&encoded(&text)), text);
        }
    }
}
