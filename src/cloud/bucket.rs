use super::{
    Cloud, CloudError,
    resource::{Found, Resource, Tags},
    xml,
};
use crate::stack::{LEFT, PREFIX};
use http::Method;
use serde_json::{Value as Json, json};

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
        let rule = |id: &str, prefix: &str, what: String| {
            format!(
                "<Rule><ID>{id}</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>{what}</Rule>"
            )
        };
        let expire = |days: u32| format!("<Expiration><Days>{days}</Days></Expiration>");
        let abort = format!(
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>{LEFT}</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        );
        let rules = [
            rule("runs", &format!("{PREFIX}/runs/"), expire(self.days)),
            rule("exchange", &format!("{PREFIX}/exchange/"), expire(LEFT)),
            rule("uploads", "", abort),
        ];
        let lifecycle = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.concat());
        self.put(cloud, "PutLifecycleConfiguration", "?lifecycle", &lifecycle)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let each = tags.pairs().map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"));
        let tags = format!("<Tagging><TagSet>{}</TagSet></Tagging>", each.concat());
        self.put(cloud, "PutBucketTagging", "?tagging", &tags)
    }

    /// With all that is in it.
    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let objects = cloud.objects(&self.name)?;
        let keys: Vec<String> = objects.list("")?.into_iter().map(|entry| entry.key).collect();
        objects.remove(&keys)?;
        cloud.about_bucket("DeleteBucket", Method::DELETE, &self.name, "", "").map(drop)
    }
}
