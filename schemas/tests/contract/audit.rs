//! The encoder of audit events against `apache-avro`, the reference implementation.

use apache_avro::{to_avro_datum, to_value};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use tapedeck_schemas::schema::AUDIT_TODAY;
use tapedeck_schemas::wire::{Framing, decode_audit, encode_audit};
use tapedeck_schemas::{
    Actor, Api, AuditEvent, Authorization, DstEndpoint, Fingerprint, Group, HttpRequest, Idp, MessageContext, Metadata,
    Policy, Product, Request, Resource, Response, Service, Session, SrcEndpoint, Token, Trace, Url, User,
};

fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z/._-]{0,12}", "\\PC{0,200}"].boxed()
}

fn metadata() -> BoxedStrategy<Metadata> {
    let product = (text(), text(), text()).prop_map(|(name, vendor_name, version)| Product {
        name,
        vendor_name,
        version,
    });
    let kind = (text(), vec(text(), 0..4), any::<bool>());
    (text(), any::<i64>(), text(), kind, of(text()), text(), product)
        .prop_map(
            |(uid, sequence, correlation_uid, (event_code, profiles, is_truncated), tenant_uid, version, product)| {
                Metadata {
                    uid,
                    sequence,
                    correlation_uid,
                    event_code,
                    profiles,
                    is_truncated,
                    tenant_uid,
                    version,
                    product,
                }
            },
        )
        .boxed()
}

fn actor() -> BoxedStrategy<Actor> {
    let group = text().prop_map(|name| Group { name });
    let user = (text(), of(text()), of(text()), vec(group, 0..4)).prop_map(|(uid, name, email_addr, groups)| User {
        uid,
        name,
        email_addr,
        groups,
    });
    let idp = text().prop_map(|name| Idp { name });
    let session = (text(), any::<i64>(), of(text())).prop_map(|(uid, created_time, expiration_reason)| Session {
        uid,
        created_time,
        expiration_reason,
    });
    (of(user), of(idp), session, of(text()))
        .prop_map(|(user, idp, session, app_uid)| Actor {
            user,
            idp,
            session,
            app_uid,
        })
        .boxed()
}

fn api() -> BoxedStrategy<Api> {
    let response = (of(any::<i32>()), of(text())).prop_map(|(code, error)| Response { code, error });
    let token = (text(), any::<i32>()).prop_map(|(uid, type_id)| Token { uid, type_id });
    (text(), text(), of(text()), text(), of(response), of(token))
        .prop_map(|(operation, name, version, uid, response, token)| Api {
            operation,
            service: Service { name },
            version,
            request: Request { uid },
            response,
            token,
        })
        .boxed()
}

fn context() -> BoxedStrategy<(MessageContext, Option<Trace>)> {
    let context = (text(), any::<i32>(), text()).prop_map(|(uid, ai_role_id, name)| MessageContext {
        uid,
        ai_role_id,
        service: Service { name },
    });
    (context, of(text().prop_map(|uid| Trace { uid }))).boxed()
}

fn authorization() -> BoxedStrategy<Authorization> {
    (text(), text(), of(text()))
        .prop_map(|(decision, name, uid)| Authorization {
            decision,
            policy: Policy { name, uid },
        })
        .boxed()
}

fn http_request() -> BoxedStrategy<HttpRequest> {
    (of(text()), text(), of(text()))
        .prop_map(|(http_method, path, user_agent)| HttpRequest {
            http_method,
            url: Url { path },
            user_agent,
        })
        .boxed()
}

/// Events with up to so many entries in their map.
fn event(entries: usize) -> BoxedStrategy<AuditEvent> {
    let resource = (text(), text()).prop_map(|(name, kind)| Resource { name, kind });
    let hash = (any::<i32>(), text()).prop_map(|(algorithm_id, value)| Fingerprint { algorithm_id, value });
    (
        (
            any::<i32>(),
            text(),
            any::<[i32; 6]>(),
            any::<[i64; 2]>(),
            of(any::<i64>()),
            of(any::<i64>()),
            of(text()),
        ),
        (
            metadata(),
            actor(),
            api(),
            vec(resource, 0..3),
            context(),
            vec(authorization(), 0..3),
        ),
        (
            of(text()),
            of(text()),
            text(),
            http_request(),
            of(hash),
            btree_map(text(), text(), 0..=entries),
        ),
    )
        .prop_map(
            |(
                (activity_id, activity_name, ints, longs, start_time, duration, status_code),
                (metadata, actor, api, resources, (message_context, trace), authorizations),
                (ip, source, name, http_request, raw_data_hash, unmapped),
            )| AuditEvent {
                activity_id,
                activity_name,
                category_uid: ints[0],
                class_uid: ints[1],
                type_uid: longs[0],
                severity_id: ints[2],
                time: longs[1],
                start_time,
                duration,
                status_id: ints[3],
                status_code,
                action_id: ints[5],
                disposition_id: ints[4],
                authorizations,
                metadata,
                actor,
                api,
                message_context,
                trace,
                resources,
                src_endpoint: SrcEndpoint { ip, name: source },
                dst_endpoint: DstEndpoint { name },
                http_request,
                raw_data_hash,
                unmapped,
            },
        )
        .boxed()
}

proptest! {
    // The reference keeps a map's entries in no order: with one of them there is only one.
    #[test]
    fn an_event_has_the_bytes_that_the_reference_implementation_gives_it(event in event(1)) {
        let value = to_value(&event).unwrap().resolve(&AUDIT_TODAY.schema).unwrap();
        let expected = to_avro_datum(&AUDIT_TODAY.schema, value).unwrap();
        let record = encode_audit(&event, Framing::SingleObject);
        prop_assert_eq!(&record[10..], expected.as_slice());
    }

    #[test]
    fn the_reference_implementation_reads_every_event(event in event(8)) {
        let record = encode_audit(&event, Framing::SingleObject);
        prop_assert_eq!(decode_audit(&record).unwrap(), event);
    }
}
