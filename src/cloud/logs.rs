use super::{
    Cloud, CloudError,
    resource::{Found, Resource, Tags},
};
use serde_json::{Map, Value as Json, json};

/// The group of a function's logs.
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// For how long logs are kept.
    pub days: u32,
}

impl LogGroup {
    fn arn(&self, cloud: &Cloud) -> String {
        let (partition, region, account) = (cloud.partition(), &cloud.region, &cloud.account);
        format!("arn:{partition}:logs:{region}:{account}:log-group:{}", self.name)
    }
}

fn map(tags: &Tags) -> Map<String, Json> {
    tags.pairs().into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
}

impl Resource for LogGroup {
    fn kind(&self) -> &'static str {
        "log group"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn wanted(&self) -> Json {
        json!({ "days": self.days })
    }

    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        let said = cloud.logs("DescribeLogGroups", &json!({ "logGroupNamePrefix": self.name }))?;
        let groups = said["logGroups"].as_array().into_iter().flatten();
        let Some(group) = groups.into_iter().find(|group| group["logGroupName"] == *self.name) else {
            return Ok(None);
        };
        let said = cloud.logs("ListTagsForResource", &json!({ "resourceArn": self.arn(cloud) }))?;
        let tags = said["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        Ok(Some(Found { tags, content: json!({ "days": group["retentionInDays"] }) }))
    }

    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        cloud.logs("CreateLogGroup", &json!({ "logGroupName": self.name, "tags": map(tags) }))?;
        self.update(cloud)
    }

    fn update(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let body = json!({ "logGroupName": self.name, "retentionInDays": self.days });
        cloud.logs("PutRetentionPolicy", &body).map(drop)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        cloud.logs("TagResource", &json!({ "resourceArn": self.arn(cloud), "tags": map(tags) })).map(drop)
    }

    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        cloud.logs("DeleteLogGroup", &json!({ "logGroupName": self.name })).map(drop)
    }
}
