use super::{
    Cloud, CloudError,
    error::causes,
    resource::{Found, Resource, Tags},
    xml,
};
use crate::stack::PREFIX;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use object_store::{Error, ObjectStore, ObjectStoreExt, path::Path};
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, sync::Arc};

/// Requests that are under way at a time.
const AT_A_TIME: usize = 8;

/// The bucket that holds what functions are made of, and what they share.
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// For how long what runs leave is kept.
    pub days: u32,
}

impl Bucket {
    fn put(&self, cloud: &Cloud, action: &str, what: &str, body: &str) -> Result<(), CloudError> {
        let said = cloud.about_bucket(action, Method::PUT, &self.name, what, body)?;
        said.map(drop).ok_or_else(|| CloudError::Refused {
            action: format!("s3:{action}"),
            code: "NoSuchBucket".into(),
            message: format!("the bucket `{}` is gone", self.name),
        })
    }

    fn get(&self, cloud: &Cloud, action: &str, what: &str) -> Result<String, CloudError> {
        Ok(cloud.about_bucket(action, Method::GET, &self.name, what, "")?.unwrap_or_default())
    }
}

const PRIVATE: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

impl Resource for Bucket {
    fn kind(&self) -> &'static str {
        "bucket"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn wanted(&self) -> Json {
        json!({ "encryption": "AES256", "private": true, "runs": [format!("{PREFIX}/runs/"), self.days.to_string()] })
    }

    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        if cloud.about_bucket("ListBucket", Method::HEAD, &self.name, "", "")?.is_none() {
            return Ok(None);
        }
        let said = self.get(cloud, "GetBucketTagging", "?tagging")?;
        let tags = xml::inside(&said, "Tag").filter_map(|tag| Some((xml::text(tag, "Key")?, xml::text(tag, "Value")?)));
        let tags = tags.collect();
        let encryption = self.get(cloud, "GetEncryptionConfiguration", "?encryption")?;
        let access = self.get(cloud, "GetBucketPublicAccessBlock", "?publicAccessBlock")?;
        let lifecycle = self.get(cloud, "GetLifecycleConfiguration", "?lifecycle")?;
        let runs = xml::inside(&lifecycle, "Rule").find(|rule| xml::text(rule, "ID").is_some_and(|id| id == "runs"));
        let content = json!({
            "encryption": xml::text(&encryption, "SSEAlgorithm"),
            "private": PRIVATE.iter().all(|name| xml::text(&access, name).is_some_and(|is| is == "true")),
            "runs": runs.map(|rule| json!([xml::text(rule, "Prefix"), xml::text(rule, "Days")])),
        });
        Ok(Some(Found { tags, content }))
    }

    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let place = format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            cloud.region
        );
        // The first of all regions may not be named.
        self.put(cloud, "CreateBucket", "", if cloud.region == "us-east-1" { "" } else { &place })?;
        self.tag(cloud, tags)?;
        self.update(cloud)
    }

    fn update(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let private = PRIVATE.map(|name| format!("<{name}>true</{name}>")).concat();
        let private = format!("<PublicAccessBlockConfiguration>{private}</PublicAccessBlockConfiguration>");
        self.put(cloud, "PutBucketPublicAccessBlock", "?publicAccessBlock", &private)?;
        let encryption = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                          <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>\
                          </ServerSideEncryptionConfiguration>";
        self.put(cloud, "PutEncryptionConfiguration", "?encryption", encryption)?;
        let lifecycle = format!(
            "<LifecycleConfiguration><Rule><ID>runs</ID><Filter><Prefix>{PREFIX}/runs/</Prefix></Filter>\
             <Status>Enabled</Status><Expiration><Days>{}</Days></Expiration></Rule></LifecycleConfiguration>",
            self.days
        );
        self.put(cloud, "PutLifecycleConfiguration", "?lifecycle", &lifecycle)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let each = tags.pairs().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        let tags = format!("<Tagging><TagSet>{}</TagSet></Tagging>", each.concat());
        self.put(cloud, "PutBucketTagging", "?tagging", &tags)
    }

    /// With all that is in it.
    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let objects = Objects::open(cloud, &self.name)?;
        let all = objects.list("")?;
        objects.remove(all.into_keys())?;
        cloud.about_bucket("DeleteBucket", Method::DELETE, &self.name, "", "").map(drop)
    }
}

/// The objects of a bucket.
pub struct Objects<'c> {
    cloud: &'c Cloud,
    store: Arc<dyn ObjectStore>,
}

impl<'c> Objects<'c> {
    /// Those of a bucket that is there.
    pub fn open(cloud: &'c Cloud, bucket: &str) -> Result<Self, CloudError> {
        Ok(Self { cloud, store: cloud.bucket(bucket)? })
    }

    fn failure(&self, action: &str, error: &Error) -> CloudError {
        let (action, message) = (format!("s3:{action}"), causes(error).to_string());
        match error {
            Error::PermissionDenied { .. } => CloudError::Denied { action, message },
            Error::Unauthenticated { .. } => CloudError::BadCredentials(message),
            Error::Generic { .. } | Error::JoinError { .. } => {
                CloudError::Unreachable { place: self.cloud.whom("s3"), reason: message }
            }
            _ => CloudError::Refused { action, code: "the request".into(), message },
        }
    }

    /// The objects below a folder, and how long they are. There are none in a bucket that is not there.
    pub fn list(&self, folder: &str) -> Result<BTreeMap<String, u64>, CloudError> {
        let folder = Path::from(folder);
        let listed = self.store.list(Some(&folder));
        let listed = self.cloud.wait(listed.map_ok(|object| (object.location.to_string(), object.size)).try_collect());
        match listed {
            Err(Error::NotFound { .. }) => Ok(BTreeMap::new()),
            listed => listed.map_err(|error| self.failure("ListBucket", &error)),
        }
    }

    /// Whether an object is there.
    pub fn has(&self, path: &str) -> Result<bool, CloudError> {
        match self.cloud.wait(self.store.head(&Path::from(path))) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failure("GetObject", &error)),
        }
    }

    /// What an object holds, if it is there.
    pub fn get(&self, path: &str) -> Result<Option<Bytes>, CloudError> {
        let got = async { self.store.get(&Path::from(path)).await?.bytes().await };
        match self.cloud.wait(got) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("GetObject", &error)),
        }
    }

    /// Writes an object.
    pub fn put(&self, path: &str, bytes: Bytes) -> Result<(), CloudError> {
        let put = self.cloud.wait(self.store.put(&Path::from(path), bytes.into()));
        put.map(drop).map_err(|error| self.failure("PutObject", &error))
    }

    /// Removes objects.
    pub fn remove(&self, paths: impl IntoIterator<Item = String>) -> Result<(), CloudError> {
        let remove = |path: String| async move {
            match self.store.delete(&Path::from(path)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        let removed = stream::iter(paths).map(remove).buffer_unordered(AT_A_TIME).try_collect::<()>();
        self.cloud.wait(removed).map_err(|error| self.failure("DeleteObject", &error))
    }
}
