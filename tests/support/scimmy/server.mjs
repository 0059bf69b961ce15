// A SCIM server made of SCIMMY, with storage in memory. Every first path segment is a world of its own, so that a test
// begins with an empty server. Prints its port, and ends when its standard input does.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = process.env.LOCKSTEP_SCIM_TOKEN;
const worlds = new Map();

function world({ world: name }) {
    if (!worlds.has(name)) worlds.set(name, { users: new Map(), groups: new Map() });
    return worlds.get(name);
}

function groupsOf(user, { groups }) {
    return [...groups.values()]
        .filter((group) => (group.members ?? []).some(({ value }) => value === user.id))
        .map(({ id, displayName }) => ({ value: id, display: displayName, type: "direct" }));
}

function one(resource, records) {
    const found = records.get(resource.id);
    if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
    return found;
}

function listed(resource, records) {
    return resource.filter ? resource.filter.match(records) : records;
}

function stored(resource, instance, records) {
    const before = resource.id ? one(resource, records) : undefined;
    const now = new Date();
    const id = before?.id ?? randomUUID();
    const record = { ...JSON.parse(JSON.stringify(instance)), id };
    record.meta = { ...record.meta, created: before?.meta.created ?? now, lastModified: now };
    records.set(id, record);
    return record;
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
SCIMMY.Resources.declare(SCIMMY.Resources.User, {
    ingress(resource, instance, context) {
        const { users } = world(context);
        const name = instance.userName.toLowerCase();
        const clash = [...users.values()].some((u) => u.id !== resource.id && u.userName.toLowerCase() === name);
        if (clash) throw new SCIMMY.Types.Error(409, "uniqueness", `userName ${instance.userName} is taken`);
        const user = stored(resource, instance, users);
        return { ...user, groups: groupsOf(user, world(context)) };
    },
    egress(resource, context) {
        const state = world(context);
        const shown = (user) => ({ ...user, groups: groupsOf(user, state) });
        if (resource.id) return shown(one(resource, state.users));
        return listed(resource, [...state.users.values()].map(shown));
    },
    degress(resource, context) {
        const { users } = world(context);
        users.delete(one(resource, users).id);
    },
});
SCIMMY.Resources.declare(SCIMMY.Resources.Group, {
    ingress: (resource, instance, context) => stored(resource, instance, world(context).groups),
    egress(resource, context) {
        const { groups } = world(context);
        return resource.id ? one(resource, groups) : listed(resource, [...groups.values()]);
    },
    degress(resource, context) {
        const { groups } = world(context);
        groups.delete(one(resource, groups).id);
    },
});

const app = express();
app.use("/:world/scim/v2", (request, _response, next) => {
    request.world = request.params.world;
    next();
}, new SCIMMYRouters({
    type: "bearer",
    handler(request) {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("unknown token");
        return "lockstep";
    },
    context: ({ world }) => ({ world }),
}));

const server = createServer(app);
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
