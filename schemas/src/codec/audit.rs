use super::write::Writer;
use crate::{Actor, Api, AuditEvent, Metadata, User};

/// Appends the event's Avro binary. A map's entries are in the order of their keys, so that one event is one sequence of
/// bytes; Avro leaves that open.
pub(crate) fn encode_audit(event: &AuditEvent, out: &mut Vec<u8>) {
    let mut w = Writer(out);
    w.int(event.activity_id);
    w.text(&event.activity_name);
    w.int(event.category_uid);
    w.int(event.class_uid);
    w.long(event.type_uid);
    w.int(event.severity_id);
    w.long(event.time);
    w.optional_long(event.start_time);
    w.optional_long(event.duration);
    w.int(event.status_id);
    w.optional_text(event.status_code.as_deref());
    w.int(event.action_id);
    w.int(event.disposition_id);
    w.array(&event.authorizations, |w, authorization| {
        w.text(&authorization.decision);
        w.text(&authorization.policy.name);
        w.optional_text(authorization.policy.uid.as_deref());
    });
    write_metadata(&mut w, &event.metadata);
    write_actor(&mut w, &event.actor);
    write_api(&mut w, &event.api);
    w.text(&event.message_context.uid);
    w.int(event.message_context.ai_role_id);
    w.text(&event.message_context.service.name);
    w.optional(event.trace.as_ref(), |w, trace| w.text(&trace.uid));
    w.array(&event.resources, |w, resource| {
        w.text(&resource.name);
        w.text(&resource.kind);
    });
    w.optional_text(event.src_endpoint.ip.as_deref());
    w.optional_text(event.src_endpoint.name.as_deref());
    w.text(&event.dst_endpoint.name);
    w.optional_text(event.http_request.http_method.as_deref());
    w.text(&event.http_request.url.path);
    w.optional_text(event.http_request.user_agent.as_deref());
    w.optional(event.raw_data_hash.as_ref(), |w, hash| {
        w.int(hash.algorithm_id);
        w.text(&hash.value);
    });
    w.map(&event.unmapped);
}

fn write_metadata(w: &mut Writer<'_>, metadata: &Metadata) {
    w.text(&metadata.uid);
    w.long(metadata.sequence);
    w.text(&metadata.correlation_uid);
    w.text(&metadata.event_code);
    w.array(&metadata.profiles, |w, profile| w.text(profile));
    w.boolean(metadata.is_truncated);
    w.optional_text(metadata.tenant_uid.as_deref());
    w.text(&metadata.version);
    w.text(&metadata.product.name);
    w.text(&metadata.product.vendor_name);
    w.text(&metadata.product.version);
}

fn write_actor(w: &mut Writer<'_>, actor: &Actor) {
    w.optional(actor.user.as_ref(), write_user);
    w.optional(actor.idp.as_ref(), |w, idp| w.text(&idp.name));
    w.text(&actor.session.uid);
    w.long(actor.session.created_time);
    w.optional_text(actor.session.expiration_reason.as_deref());
    w.optional_text(actor.app_uid.as_deref());
}

fn write_user(w: &mut Writer<'_>, user: &User) {
    w.text(&user.uid);
    w.optional_text(user.name.as_deref());
    w.optional_text(user.email_addr.as_deref());
    w.array(&user.groups, |w, group| w.text(&group.name));
}

fn write_api(w: &mut Writer<'_>, api: &Api) {
    w.text(&api.operation);
    w.text(&api.service.name);
    w.optional_text(api.version.as_deref());
    w.text(&api.request.uid);
    w.optional(api.response.as_ref(), |w, response| {
        w.optional(response.code, Writer::int);
        w.optional_text(response.error.as_deref());
    });
    w.optional(api.token.as_ref(), |w, token| {
        w.text(&token.uid);
        w.int(token.type_id);
    });
}
