//! The stack as a template for CloudFormation.

use super::{DAYS, DISK, LEFT, PREFIX, Role, Stack, TIMEOUT, yaml};
use serde_json::{Map, Value as Json, json};

/// The template. Its functions' code and its machines' definitions are files beside it, which
/// `aws cloudformation package` takes to a bucket.
pub fn template(stack: &Stack) -> String {
    let mut out = format!("# Written by smltc {} for the workflow `{}`.\n", env!("CARGO_PKG_VERSION"), stack.workflow);
    let sections = [
        ("AWSTemplateFormatVersion", json!("2010-09-09")),
        ("Description", json!(format!("The workflow {} as a state machine", stack.workflow))),
        ("Parameters", parameters(stack)),
        ("Conditions", conditions(stack)),
        ("Resources", resources(stack)),
        ("Outputs", outputs()),
    ];
    for (name, section) in sections {
        yaml::write(&json!({ name: section }), 0, &mut out);
    }
    out
}

fn parameters(stack: &Stack) -> Json {
    let mut parameters = json!({
        "Architecture": {
            "Type": "String",
            "Description": "The processors that bootstrap is built for",
            "Default": "x86_64",
            "AllowedValues": ["x86_64", "arm64"],
        },
        "AlarmTopic": {
            "Type": "String",
            "Description": "The ARN of an SNS topic that hears of failed executions; nobody does when empty",
            "Default": "",
        },
    });
    if stack.has_commands() {
        parameters["Image"] = json!({
            "Type": "String",
            "Description": "The URI of the image made by the Containerfile, in a private ECR repository",
        });
    }
    if stack.trains {
        parameters["Cache"] = json!({
            "Type": "String",
            "Description": "Whether to make a Valkey cache in a network of its own, for trainings by several workers",
            "Default": "no",
            "AllowedValues": ["no", "yes"],
        });
    }
    parameters
}

fn conditions(stack: &Stack) -> Json {
    let mut conditions = json!({ "HasTopic": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "AlarmTopic" }, ""] }] } });
    if stack.trains {
        conditions["HasCache"] = json!({ "Fn::Equals": [{ "Ref": "Cache" }, "yes"] });
    }
    conditions
}

fn resources(stack: &Stack) -> Json {
    let mut resources = Map::from_iter([("Bucket".to_owned(), bucket()), ("FailureAlarm".to_owned(), alarm())]);
    for role in Role::ALL {
        resources.insert(role.logical().into(), self::role(stack, role));
    }
    for function in &stack.functions {
        let logs = format!("{}Logs", function.logical());
        let group = json!({ "LogGroupName": filled(&json!(function.log_group())), "RetentionInDays": DAYS });
        resources.insert(logs.clone(), resource("AWS::Logs::LogGroup", group));
        let mut properties = json!({
            "FunctionName": filled(&json!(function.name())),
            "MemorySize": function.memory,
            "Timeout": TIMEOUT,
            "EphemeralStorage": { "Size": DISK },
            "Architectures": [{ "Ref": "Architecture" }],
            "Role": { "Fn::GetAtt": ["WorkerRole", "Arn"] },
            "LoggingConfig": { "LogGroup": { "Ref": logs } },
            "Environment": { "Variables": environment(stack) },
        });
        if function.commands {
            properties["PackageType"] = json!("Image");
            properties["Code"] = json!({ "ImageUri": { "Ref": "Image" } });
        } else {
            properties["Runtime"] = json!("provided.al2023");
            properties["Handler"] = json!("bootstrap");
            properties["Code"] = json!(".");
        }
        if stack.trains {
            properties["VpcConfig"] = if_cache(
                json!({
                    "SubnetIds": [{ "Ref": "SubnetA" }, { "Ref": "SubnetB" }],
                    "SecurityGroupIds": [{ "Fn::GetAtt": ["Inside", "GroupId"] }],
                }),
                json!({ "Ref": "AWS::NoValue" }),
            );
        }
        resources.insert(function.logical(), resource("AWS::Lambda::Function", properties));
    }
    for machine in &stack.machines {
        let functions = stack.functions.iter().map(super::Function::logical);
        let named = functions.filter(|name| machine.text.contains(&format!("${{{name}}}")));
        let mut fillings: Map<String, Json> = named.map(|name| (name.clone(), json!({ "Ref": name }))).collect();
        fillings.extend(machine.starts.iter().map(|name| (name.clone(), json!({ "Ref": name }))));
        let mut properties = json!({
            "StateMachineName": filled(&json!(machine.resource_name())),
            "StateMachineType": "STANDARD",
            "RoleArn": { "Fn::GetAtt": ["MachineRole", "Arn"] },
            "DefinitionS3Location": machine.file,
        });
        if !fillings.is_empty() {
            properties["DefinitionSubstitutions"] = fillings.into();
        }
        resources.insert(machine.name.clone(), resource("AWS::StepFunctions::StateMachine", properties));
    }
    if stack.trains {
        resources.extend(cache());
    }
    resources.into()
}

fn resource(ty: &str, properties: Json) -> Json {
    json!({ "Type": ty, "Properties": properties })
}

fn bucket() -> Json {
    let rules = json!([
        { "Id": "Runs", "Status": "Enabled", "Prefix": format!("{PREFIX}/runs/"), "ExpirationInDays": DAYS },
        { "Id": "Exchange", "Status": "Enabled", "Prefix": format!("{PREFIX}/exchange/"), "ExpirationInDays": LEFT },
        { "Id": "Uploads", "Status": "Enabled", "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": LEFT } },
    ]);
    let properties = json!({
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }],
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": true,
            "BlockPublicPolicy": true,
            "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true,
        },
        "LifecycleConfiguration": { "Rules": rules },
    });
    // Results outlive the stack.
    let mut bucket = resource("AWS::S3::Bucket", properties);
    bucket["DeletionPolicy"] = json!("Retain");
    bucket["UpdateReplacePolicy"] = json!("Retain");
    bucket
}

fn alarm() -> Json {
    resource(
        "AWS::CloudWatch::Alarm",
        json!({
            "AlarmDescription": "An execution of the workflow has failed",
            "Namespace": "AWS/States",
            "MetricName": "ExecutionsFailed",
            "Dimensions": [{ "Name": "StateMachineArn", "Value": { "Ref": "Machine" } }],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": { "Fn::If": ["HasTopic", [{ "Ref": "AlarmTopic" }], { "Ref": "AWS::NoValue" }] },
        }),
    )
}

fn role(stack: &Stack, role: Role) -> Json {
    let own = json!({ "PolicyName": "smlt", "PolicyDocument": filled(&role.policy(stack)) });
    let mut policies = vec![own];
    if stack.trains && role == Role::Worker {
        // A function in a network makes its own interface there, of which no name is known before.
        let actions =
            ["CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets"];
        let actions = actions.map(|action| format!("ec2:{action}"));
        let statement = json!({ "Sid": "Network", "Effect": "Allow", "Action": actions, "Resource": "*" });
        let document = json!({ "Version": "2012-10-17", "Statement": [statement] });
        policies.push(if_cache(
            json!({ "PolicyName": "network", "PolicyDocument": document }),
            json!({ "Ref": "AWS::NoValue" }),
        ));
    }
    resource("AWS::IAM::Role", json!({ "AssumeRolePolicyDocument": role.trust(), "Policies": policies }))
}

fn environment(stack: &Stack) -> Json {
    let mut environment = filled(&Stack::environment());
    if stack.trains {
        let address = json!({ "Fn::Sub": "rediss://${Valkey.Endpoint.Address}:${Valkey.Endpoint.Port}" });
        environment["SMLT_STORE"] = if_cache(address, json!({ "Ref": "AWS::NoValue" }));
    }
    environment
}

/// A network that leads to the cache and the bucket, and nowhere else.
fn cache() -> impl Iterator<Item = (String, Json)> {
    let zone = |index: u32| json!({ "Fn::Select": [index, { "Fn::GetAZs": "" }] });
    let subnet = |index: u32, block: &str| {
        let properties = json!({ "VpcId": { "Ref": "Network" }, "CidrBlock": block, "AvailabilityZone": zone(index) });
        resource("AWS::EC2::Subnet", properties)
    };
    let route = |subnet: &str| {
        let properties = json!({ "SubnetId": { "Ref": subnet }, "RouteTableId": { "Ref": "Routes" } });
        resource("AWS::EC2::SubnetRouteTableAssociation", properties)
    };
    let port = |name: &str| {
        json!({
            "GroupId": { "Fn::GetAtt": ["Inside", "GroupId"] },
            name: { "Fn::GetAtt": ["Inside", "GroupId"] },
            "IpProtocol": "tcp",
            "FromPort": 6379,
            "ToPort": 6380,
        })
    };
    let group = json!({ "GroupDescription": "Workers and their cache", "VpcId": { "Ref": "Network" } });
    let valkey = json!({
        "ServerlessCacheName": { "Ref": "AWS::StackName" },
        "Engine": "valkey",
        "SubnetIds": [{ "Ref": "SubnetA" }, { "Ref": "SubnetB" }],
        "SecurityGroupIds": [{ "Fn::GetAtt": ["Inside", "GroupId"] }],
    });
    let to_bucket = json!({
        "VpcId": { "Ref": "Network" },
        "ServiceName": { "Fn::Sub": "com.amazonaws.${AWS::Region}.s3" },
        "RouteTableIds": [{ "Ref": "Routes" }],
    });
    let network = json!({ "CidrBlock": "10.0.0.0/16", "EnableDnsSupport": true, "EnableDnsHostnames": true });
    let resources = [
        ("Network", resource("AWS::EC2::VPC", network)),
        ("SubnetA", subnet(0, "10.0.0.0/20")),
        ("SubnetB", subnet(1, "10.0.16.0/20")),
        ("Routes", resource("AWS::EC2::RouteTable", json!({ "VpcId": { "Ref": "Network" } }))),
        ("RouteA", route("SubnetA")),
        ("RouteB", route("SubnetB")),
        ("ToBucket", resource("AWS::EC2::VPCEndpoint", to_bucket)),
        ("Inside", resource("AWS::EC2::SecurityGroup", group)),
        ("InsideIn", resource("AWS::EC2::SecurityGroupIngress", port("SourceSecurityGroupId"))),
        ("Valkey", resource("AWS::ElastiCache::ServerlessCache", valkey)),
    ];
    resources.into_iter().map(|(name, mut resource)| {
        resource["Condition"] = json!("HasCache");
        (name.to_owned(), resource)
    })
}

fn if_cache(then: Json, otherwise: Json) -> Json {
    json!({ "Fn::If": ["HasCache", then, otherwise] })
}

fn outputs() -> Json {
    json!({
        "StateMachine": { "Description": "What runs the workflow", "Value": { "Ref": "Machine" } },
        "Files": {
            "Description": "Where the files that the workflow reads belong, at their paths from the workflow file",
            "Value": { "Fn::Sub": format!("s3://${{Bucket}}/{PREFIX}/project/") },
        },
    })
}

/// Lets CloudFormation fill in what texts name.
fn filled(json: &Json) -> Json {
    match json {
        Json::String(text) if text == "${AWS::StackName}" => json!({ "Ref": "AWS::StackName" }),
        Json::String(text) if text.contains("${") => json!({ "Fn::Sub": text }),
        Json::Array(items) => items.iter().map(filled).collect(),
        Json::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), filled(field))).collect(),
        other => other.clone(),
    }
}
