-- The durable list of chat sessions: who, what about, which step, how many messages, how it ended.
-- Written by jv_session_mw.tracking through the functions below, with the service role alone.
-- A signed-in user may read the rows whose owner is the `sub` of the token, and nothing else.
-- Applying this file again changes nothing.

create table if not exists public.chat_sessions (
    owner text not null, -- '' for a session that belongs to nobody
    id text not null check (id <> ''),
    status text not null default 'active'
        constraint chat_sessions_status check (status in ('active', 'paused', 'completed', 'archived')),
    title text not null default '',
    kind text not null default '',
    step text not null default '',
    refs jsonb not null default '{}',
    counters jsonb not null default '{}',
    message_count bigint not null default 0 check (message_count >= 0),
    started_at timestamptz not null default now(),
    last_activity_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (owner, id),
    constraint chat_sessions_ended check ((status in ('completed', 'archived')) = (ended_at is not null))
);

-- One index for each listing, in the order of the listing, so that a page is read and not sorted.
create index if not exists chat_sessions_by_activity
    on public.chat_sessions (owner, last_activity_at desc, id desc);
create index if not exists chat_sessions_live_by_activity
    on public.chat_sessions (owner, last_activity_at desc, id desc) where status in ('active', 'paused');
create index if not exists chat_sessions_by_refs
    on public.chat_sessions using gin (refs jsonb_path_ops);
-- With the status first it has no order that a listing could be tempted by.
create index if not exists chat_sessions_idle
    on public.chat_sessions (status, last_activity_at) where status in ('active', 'paused');
create index if not exists chat_sessions_over
    on public.chat_sessions (ended_at) where ended_at is not null;

-- What was said, for `resume`: never readable by clients, as it may hold what the agent thought.
create table if not exists public.chat_session_snapshots (
    owner text not null,
    id text not null,
    snapshot jsonb not null,
    primary key (owner, id),
    foreign key (owner, id) references public.chat_sessions on update cascade on delete cascade
);

-- Events that were counted, so that a webhook that comes twice counts once.
create table if not exists public.chat_session_events (
    owner text not null,
    id text not null,
    event_id text not null,
    primary key (owner, id, event_id),
    foreign key (owner, id) references public.chat_sessions on update cascade on delete cascade
);

-- Batches that were applied, and what was answered, so that one whose reply was lost counts once.
create table if not exists public.chat_session_batches (
    id uuid primary key,
    refused jsonb not null default '[]',
    applied_at timestamptz not null default now()
);
create index if not exists chat_session_batches_by_age on public.chat_session_batches (applied_at);

-- Digests of what was deleted, so that activity under way elsewhere does not bring it back.
create table if not exists public.chat_session_deletions (
    digest bytea primary key,
    deleted_at timestamptz not null default now()
);
create index if not exists chat_session_deletions_by_age on public.chat_session_deletions (deleted_at);

-- Digests of the keys that sessions had before, and where those are now, so that activity under way
-- elsewhere comes after them.
create table if not exists public.chat_session_moves (
    digest bytea primary key,
    owner text not null,
    id text not null,
    moved_at timestamptz not null default now()
);
create index if not exists chat_session_moves_by_key on public.chat_session_moves (owner, id);
create index if not exists chat_session_moves_by_age on public.chat_session_moves (moved_at);

alter table public.chat_sessions enable row level security;
alter table public.chat_session_snapshots enable row level security;
alter table public.chat_session_events enable row level security;
alter table public.chat_session_batches enable row level security;
alter table public.chat_session_deletions enable row level security;
alter table public.chat_session_moves enable row level security;

drop policy if exists chat_sessions_of_the_owner on public.chat_sessions;
create policy chat_sessions_of_the_owner on public.chat_sessions for select to authenticated
    using (owner <> '' and owner = (select auth.jwt() ->> 'sub'));

revoke all on public.chat_sessions, public.chat_session_snapshots, public.chat_session_events,
    public.chat_session_batches, public.chat_session_deletions, public.chat_session_moves
    from public, anon, authenticated;
grant select on public.chat_sessions to authenticated;
grant select, insert, update, delete on public.chat_sessions, public.chat_session_snapshots,
    public.chat_session_events, public.chat_session_batches, public.chat_session_deletions,
    public.chat_session_moves to service_role;

create or replace function public.chat_session_digest(p_owner text, p_id text) returns bytea
language sql immutable security invoker set search_path = '' as $$
    select sha256(convert_to(jsonb_build_array(p_owner, p_id)::text, 'UTF8'))
$$;

create or replace function public.chat_session_sum(p_held jsonb, p_added jsonb) returns jsonb
language sql immutable security invoker set search_path = '' as $$
    select case when p_added is null then p_held else p_held || (
        select coalesce(jsonb_object_agg(key, coalesce((p_held ->> key)::bigint, 0) + value::bigint), '{}')
        from jsonb_each_text(p_added)
    ) end
$$;

create or replace function public.chat_session_refs(p_held jsonb, p_set jsonb) returns jsonb
language sql immutable security invoker set search_path = '' as $$
    select case when p_set is null then p_held else jsonb_strip_nulls(p_held || p_set) end
$$;

-- What happened to one session since the last batch. `age` and `first_age` are the seconds since the
-- last and the first of it, so that the clocks of the applications do not matter. `ended` is 'archived'
-- or 'deleted' with its conversation; `was` are the keys that it had before, each an owner and an id.
drop type if exists public.chat_session_activity cascade; -- with the function below that takes it
create type public.chat_session_activity as (
    n integer, owner text, id text, touched boolean, age float8, first_age float8, messages bigint,
    title text, kind text, step text, refs jsonb, counters jsonb, snapshot jsonb, ended text, was jsonb
);

-- Forgets what is no longer needed: no batch is sent again, and no activity is on its way, for longer
-- than a week.
create or replace function public.chat_session_prune() returns void
language plpgsql security invoker set search_path = '' as $$
begin
    delete from public.chat_session_batches b where b.id in (
        select o.id from public.chat_session_batches o
        where o.applied_at < now() - interval '8 days' limit 10000 for update skip locked
    );
    delete from public.chat_session_deletions d where d.digest in (
        select o.digest from public.chat_session_deletions o
        where o.deleted_at < now() - interval '8 days' limit 10000 for update skip locked
    );
    delete from public.chat_session_moves m where m.digest in (
        select o.digest from public.chat_session_moves o
        where o.moved_at < now() - interval '8 days' limit 10000 for update skip locked
    );
end
$$;

create or replace function public.chat_session_lock() returns bigint
language sql immutable security invoker set search_path = '' as $$
    select hashtextextended('jv_session_mw.tracking', 0)
$$;

-- Returns the key that a session has now: one step, as a move takes those before it along.
create or replace function public.chat_session_key(p_owner text, p_id text)
returns table (owner text, id text)
language sql stable security invoker set search_path = '' as $$
    select coalesce(m.owner, p_owner), coalesce(m.id, p_id) from (values (1)) as one
    left join public.chat_session_moves m on m.digest = public.chat_session_digest(p_owner, p_id)
$$;

-- Notes that a session was deleted, null for all of an owner, and with it the keys that it had before:
-- nothing here names it any longer.
create or replace function public.chat_session_note_deletion(p_owner text, p_id text) returns void
language sql security invoker set search_path = '' as $$
    with moved as (
        delete from public.chat_session_moves m
        where m.owner = p_owner and (p_id is null or m.id = p_id) returning m.digest
    )
    insert into public.chat_session_deletions (digest)
    select moved.digest from moved union select public.chat_session_digest(p_owner, p_id)
    on conflict (digest) do update set deleted_at = now();
$$;

-- A conversation with a new id, or a new owner after a login, takes its session along. Another process
-- may have been faster with what came after: a session that has begun under the new key is joined, one
-- that has moved on is followed, and what was deleted there is not brought back.
create or replace function public.chat_session_move(
    p_was_owner text, p_was_id text, p_owner text, p_id text
) returns void
language plpgsql security invoker set search_path = '' as $$
begin
    select m.owner, m.id into p_owner, p_id from public.chat_session_key(p_owner, p_id) m;
    if p_was_owner = p_owner and p_was_id = p_id then
        return;
    end if;
    update public.chat_session_moves m set owner = p_owner, id = p_id
    where m.owner = p_was_owner and m.id = p_was_id;
    insert into public.chat_session_moves (digest, owner, id)
    values (public.chat_session_digest(p_was_owner, p_was_id), p_owner, p_id) on conflict do nothing;
    if exists (
        select from public.chat_session_deletions d where d.digest = public.chat_session_digest(p_owner, p_id)
    ) then
        delete from public.chat_sessions s where s.owner = p_was_owner and s.id = p_was_id;
        return;
    end if;
    update public.chat_sessions b set
        status = case when b.ended_at is null then s.status else b.status end,
        ended_at = coalesce(b.ended_at, s.ended_at),
        title = coalesce(nullif(s.title, ''), b.title),
        kind = coalesce(nullif(b.kind, ''), s.kind),
        step = coalesce(nullif(b.step, ''), s.step),
        refs = s.refs || b.refs,
        counters = public.chat_session_sum(s.counters, b.counters),
        message_count = s.message_count + b.message_count,
        started_at = least(s.started_at, b.started_at),
        last_activity_at = greatest(s.last_activity_at, b.last_activity_at)
    from public.chat_sessions s
    where s.owner = p_was_owner and s.id = p_was_id and b.owner = p_owner and b.id = p_id;
    if not found then
        update public.chat_sessions s set owner = p_owner, id = p_id
        where s.owner = p_was_owner and s.id = p_was_id;
        return;
    end if;
    insert into public.chat_session_events (owner, id, event_id)
    select p_owner, p_id, e.event_id from public.chat_session_events e
    where e.owner = p_was_owner and e.id = p_was_id on conflict do nothing;
    insert into public.chat_session_snapshots (owner, id, snapshot)
    select p_owner, p_id, k.snapshot from public.chat_session_snapshots k
    where k.owner = p_was_owner and k.id = p_was_id on conflict do nothing;
    delete from public.chat_sessions s where s.owner = p_was_owner and s.id = p_was_id;
end
$$;

-- Writes items of one batch, each of another session, and returns the positions of those that were
-- refused: their session has ended or was deleted.
create or replace function public.chat_sessions_write(p_items public.chat_session_activity[]) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
    v_refused jsonb;
begin
    perform public.chat_session_note_deletion(i.owner, i.id) from unnest(p_items) i where i.ended = 'deleted';

    -- In the order of the keys, here and below, so that two batches never wait for each other.
    insert into public.chat_sessions (owner, id, started_at, last_activity_at)
    select i.owner, i.id, now() - least(i.first_age, 604800) * interval '1 second',
        now() - least(i.age, 604800) * interval '1 second'
    from unnest(p_items) i
    where i.touched and not exists (
        select from public.chat_session_moves m
        where m.digest = public.chat_session_digest(i.owner, i.id)
    ) and not exists (
        select from public.chat_session_deletions d
        where d.digest = public.chat_session_digest(i.owner, i.id)
            or (d.digest = public.chat_session_digest(i.owner, null)
                and now() - least(i.age, 604800) * interval '1 second' <= d.deleted_at)
    )
    order by i.owner, i.id
    on conflict do nothing;

    perform from public.chat_sessions s join unnest(p_items) i on s.owner = i.owner and s.id = i.id
    order by s.owner, s.id for update of s;

    with written as (
        update public.chat_sessions s set
            title = case when s.title = '' then coalesce(i.title, '') else s.title end,
            kind = coalesce(i.kind, s.kind),
            step = coalesce(i.step, s.step),
            refs = public.chat_session_refs(s.refs, i.refs),
            counters = public.chat_session_sum(s.counters, i.counters),
            message_count = greatest(s.message_count + i.messages, 0),
            last_activity_at =
                greatest(s.last_activity_at, now() - least(i.age, 604800) * interval '1 second')
        from unnest(p_items) i
        where i.touched and s.owner = i.owner and s.id = i.id and s.status in ('active', 'paused')
        returning i.n
    )
    select coalesce(jsonb_agg(i.n), '[]') into v_refused
    from unnest(p_items) i where i.touched and i.n not in (select w.n from written w);

    insert into public.chat_session_snapshots as k (owner, id, snapshot)
    select i.owner, i.id, i.snapshot
    from unnest(p_items) i join public.chat_sessions s on s.owner = i.owner and s.id = i.id
    where i.snapshot is not null and i.ended is null and s.status in ('active', 'paused')
    order by i.owner, i.id
    on conflict (owner, id) do update set snapshot = excluded.snapshot;

    -- The conversation was deleted: what was said goes, and the session with it or into the archive.
    -- Where nothing of it has come yet, what is still on its way elsewhere begins no session.
    insert into public.chat_session_deletions (digest)
    select public.chat_session_digest(i.owner, i.id) from unnest(p_items) i
    where i.ended = 'archived' and not exists (
        select from public.chat_sessions s where s.owner = i.owner and s.id = i.id
    )
    on conflict do nothing;
    update public.chat_sessions s set status = 'archived', ended_at = coalesce(s.ended_at, now())
    from unnest(p_items) i
    where i.ended = 'archived' and s.owner = i.owner and s.id = i.id and s.status <> 'archived';
    delete from public.chat_session_snapshots k using unnest(p_items) i
    where i.ended is not null and k.owner = i.owner and k.id = i.id;
    delete from public.chat_sessions s using unnest(p_items) i
    where i.ended = 'deleted' and s.owner = i.owner and s.id = i.id;
    return v_refused;
end
$$;

-- Applies a batch once, whatever becomes of the reply, and returns the positions of the items that
-- were refused.
create or replace function public.chat_sessions_apply(p_batch uuid, p_items jsonb) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
    v_items public.chat_session_activity[];
    v_now public.chat_session_activity[];
    v_refused jsonb := '[]';
begin
    -- A delete does not see a row that a batch has not committed yet: neither runs beside the other.
    if jsonb_path_exists(p_items, '$[*] ? (exists (@.ended) || exists (@.was))') then
        perform pg_advisory_xact_lock(public.chat_session_lock());
    else
        perform pg_advisory_xact_lock_shared(public.chat_session_lock());
    end if;
    insert into public.chat_session_batches (id) values (p_batch) on conflict do nothing;
    if not found then
        select b.refused into v_refused from public.chat_session_batches b where b.id = p_batch;
        return v_refused;
    end if;

    v_items := array(select i from jsonb_populate_recordset(null::public.chat_session_activity, p_items) i);
    perform public.chat_session_move(w.was ->> 0, w.was ->> 1, i.owner, i.id)
    from unnest(v_items) i cross join lateral jsonb_array_elements(i.was) as w (was);

    -- What is noted under a key of before is that of the session where it is now. The end is not: it is
    -- that of a conversation which is no longer there.
    v_items := array(
        select case when i.ended is null then jsonb_populate_record(i, to_jsonb(k)) else i end
        from unnest(v_items) i cross join lateral public.chat_session_key(i.owner, i.id) k
    );
    while cardinality(v_items) > 0 loop -- once, but for what has two items since
        v_now := array(select distinct on (i.owner, i.id) i from unnest(v_items) i order by i.owner, i.id, i.n);
        v_items := array(
            select i from unnest(v_items) i where i.n not in (select w.n from unnest(v_now) w)
        );
        v_refused := v_refused || public.chat_sessions_write(v_now);
    end loop;

    update public.chat_session_batches set refused = v_refused where id = p_batch and v_refused <> '[]';
    if random() < 0.005 then -- for those who never sweep
        perform public.chat_session_prune();
    end if;
    return v_refused;
end
$$;

-- Creates a session or changes what it is about; null leaves a value as it is. The status stays what
-- it is: of one that has ended, only the title can be changed. Returns {"session", "done"}.
create or replace function public.chat_session_save(
    p_owner text, p_id text, p_create boolean, p_title text, p_kind text, p_step text, p_refs jsonb
) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
    v_row public.chat_sessions;
begin
    if p_create then
        perform pg_advisory_xact_lock_shared(public.chat_session_lock());
        delete from public.chat_session_deletions where digest = public.chat_session_digest(p_owner, p_id);
        delete from public.chat_session_moves where digest = public.chat_session_digest(p_owner, p_id);
        insert into public.chat_sessions (owner, id) values (p_owner, p_id) on conflict do nothing;
    end if;
    update public.chat_sessions s set
        title = coalesce(p_title, s.title),
        kind = coalesce(p_kind, s.kind),
        step = coalesce(p_step, s.step),
        refs = public.chat_session_refs(s.refs, p_refs)
    where s.owner = p_owner and s.id = p_id
        and (s.status in ('active', 'paused') or coalesce(p_kind, p_step, p_refs::text) is null)
    returning * into v_row;
    if found then
        return jsonb_build_object('session', to_jsonb(v_row), 'done', true);
    end if;
    return public.chat_session_answer(p_owner, p_id, false);
end
$$;

create or replace function public.chat_session_answer(p_owner text, p_id text, p_done boolean) returns jsonb
language sql stable security invoker set search_path = '' as $$
    select jsonb_build_object('done', p_done, 'session', (
        select to_jsonb(s) from public.chat_sessions s where s.owner = p_owner and s.id = p_id
    ))
$$;

-- Compare and set: one statement, so that of two transitions that exclude each other one is refused.
-- Where the session is already there is nothing to do, so a repeated call is answered like the first.
create or replace function public.chat_session_transition(
    p_owner text, p_id text, p_to text, p_from text[]
) returns jsonb
language plpgsql security invoker set search_path = '' as $$
begin
    update public.chat_sessions s set
        status = p_to,
        last_activity_at = case when p_to = 'active' then greatest(s.last_activity_at, now())
            else s.last_activity_at end,
        ended_at = case when p_to in ('completed', 'archived') then coalesce(s.ended_at, now()) end
    where s.owner = p_owner and s.id = p_id and s.status = any (p_from);
    return public.chat_session_answer(p_owner, p_id, found);
end
$$;

-- Counts an event, at most once for each event id. "done" is false for one that was counted already,
-- and for a session that has ended.
create or replace function public.chat_session_record(
    p_owner text, p_id text, p_event text, p_counters jsonb, p_step text, p_refs jsonb
) returns jsonb
language plpgsql security invoker set search_path = '' as $$
begin
    perform from public.chat_sessions s
    where s.owner = p_owner and s.id = p_id and s.status in ('active', 'paused') for update;
    if not found then
        return public.chat_session_answer(p_owner, p_id, false);
    end if;
    insert into public.chat_session_events (owner, id, event_id) values (p_owner, p_id, p_event)
    on conflict do nothing;
    if not found then
        return public.chat_session_answer(p_owner, p_id, false);
    end if;
    update public.chat_sessions s set
        counters = public.chat_session_sum(s.counters, p_counters),
        step = coalesce(p_step, s.step),
        refs = public.chat_session_refs(s.refs, p_refs),
        last_activity_at = greatest(s.last_activity_at, now())
    where s.owner = p_owner and s.id = p_id;
    return public.chat_session_answer(p_owner, p_id, true);
end
$$;

create or replace function public.chat_session_get(p_owner text, p_id text) returns jsonb
language sql stable security invoker set search_path = '' as $$
    select public.chat_session_answer(p_owner, p_id, true)
$$;

create or replace function public.chat_session_snapshot(p_owner text, p_id text) returns jsonb
language sql stable security invoker set search_path = '' as $$
    select jsonb_build_object('snapshot', (
        select k.snapshot from public.chat_session_snapshots k where k.owner = p_owner and k.id = p_id
    ))
$$;

-- A page of an owner's sessions, newest activity first, after the key (p_at, p_before). The statement
-- is put together from the conditions that are asked for, so that each has the plan of its own index.
create or replace function public.chat_sessions_page(
    p_owner text, p_status text[], p_kind text, p_refs jsonb, p_search text,
    p_at timestamptz, p_before text, p_limit integer
) returns jsonb
language plpgsql stable security invoker set search_path = '' as $$
declare
    v_page jsonb;
    v_where text := 's.owner = $1';
    v_live boolean := p_status <@ array['active', 'paused'];
begin
    if v_live then -- as the partial index has it
        v_where := v_where || ' and s.status in (''active'', ''paused'')';
    end if;
    if cardinality(p_status) < (case when v_live then 2 else 4 end) then
        v_where := v_where || ' and s.status = any ($2)';
    end if;
    if p_kind is not null then
        v_where := v_where || ' and s.kind = $3';
    end if;
    if p_refs is not null then
        v_where := v_where || ' and s.refs @> $4';
    end if;
    if p_search is not null then -- literally: what follows ***= has no special characters
        v_where := v_where || ' and s.title ~* (''***='' || $5)';
    end if;
    if p_at is not null then
        v_where := v_where || ' and (s.last_activity_at, s.id) < ($6, $7)';
    end if;
    execute 'select coalesce(jsonb_agg(to_jsonb(p) order by p.last_activity_at desc, p.id desc), ''[]'') from ('
        || 'select * from public.chat_sessions s where ' || v_where
        || ' order by s.last_activity_at desc, s.id desc limit $8) p'
    into v_page
    using p_owner, p_status, p_kind, p_refs, p_search, p_at, p_before, p_limit;
    return v_page;
end
$$;

create or replace function public.chat_session_delete(p_owner text, p_id text) returns boolean
language plpgsql security invoker set search_path = '' as $$
begin
    perform pg_advisory_xact_lock(public.chat_session_lock());
    perform public.chat_session_note_deletion(p_owner, p_id);
    delete from public.chat_sessions s where s.owner = p_owner and s.id = p_id;
    return found;
end
$$;

-- Deletes all of an owner, up to this moment: activity that is older and still on its way is refused.
create or replace function public.chat_sessions_delete_owner(p_owner text) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
    v_ids jsonb;
begin
    perform pg_advisory_xact_lock(public.chat_session_lock());
    perform public.chat_session_note_deletion(p_owner, null);
    with gone as (
        delete from public.chat_sessions s where s.owner = p_owner returning s.id
    ), noted as (
        insert into public.chat_session_deletions (digest)
        select public.chat_session_digest(p_owner, gone.id) from gone on conflict do nothing
    )
    select coalesce(jsonb_agg(gone.id order by gone.id), '[]') into v_ids from gone;
    return v_ids;
end
$$;

-- One step of the retention sweep, for at most p_limit sessions of each kind; null skips a kind.
-- What others hold just now is left for the next time. Ages are seconds.
create or replace function public.chat_sessions_sweep(
    p_pause_after float8, p_archive_after float8, p_delete_after float8, p_limit integer
) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
    v_paused integer := 0;
    v_archived integer := 0;
    v_deleted integer := 0;
begin
    if p_delete_after is not null then -- before any row is held, as `chat_sessions_apply` does
        perform pg_advisory_xact_lock(public.chat_session_lock());
    end if;
    if p_archive_after is not null then
        update public.chat_sessions s set status = 'archived', ended_at = now()
        where (s.owner, s.id) in (
            select i.owner, i.id from public.chat_sessions i
            where i.status in ('active', 'paused')
                and i.last_activity_at < now() - p_archive_after * interval '1 second'
            limit p_limit for update skip locked
        );
        get diagnostics v_archived = row_count;
    end if;
    if p_pause_after is not null then
        update public.chat_sessions s set status = 'paused'
        where (s.owner, s.id) in (
            select i.owner, i.id from public.chat_sessions i
            where i.status = 'active' and i.last_activity_at < now() - p_pause_after * interval '1 second'
            limit p_limit for update skip locked
        );
        get diagnostics v_paused = row_count;
    end if;
    if p_delete_after is not null then
        with gone as (
            delete from public.chat_sessions s where (s.owner, s.id) in (
                select i.owner, i.id from public.chat_sessions i
                where i.ended_at < now() - p_delete_after * interval '1 second'
                limit p_limit for update skip locked
            ) returning s.owner, s.id
        ), noted as (
            insert into public.chat_session_deletions (digest)
            select public.chat_session_digest(gone.owner, gone.id) from gone on conflict do nothing
        )
        select count(*) into v_deleted from gone;
    end if;
    perform public.chat_session_prune();
    return jsonb_build_object('paused', v_paused, 'archived', v_archived, 'deleted', v_deleted);
end
$$;

-- Functions are executable by everybody unless that is taken away, and hosted projects grant it to
-- the roles of clients as well. Here by name, as a function of the project's own may begin like these.
-- Source: PostgreSQL, "CREATE FUNCTION", Writing SECURITY DEFINER Functions Safely.
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname in (
            'chat_session_digest', 'chat_session_sum', 'chat_session_refs', 'chat_session_prune',
            'chat_session_lock', 'chat_session_key', 'chat_session_note_deletion', 'chat_session_move',
            'chat_sessions_write', 'chat_sessions_apply', 'chat_session_save',
            'chat_session_answer', 'chat_session_transition', 'chat_session_record', 'chat_session_get',
            'chat_session_snapshot', 'chat_sessions_page', 'chat_session_delete',
            'chat_sessions_delete_owner', 'chat_sessions_sweep'
        )
    loop
        execute format('revoke all on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end $$;

notify pgrst, 'reload schema';
