-- The sinks `supabase` and `postgres` of the queue `analytics` (CORRAL_ANALYTICS_TABLE). An event id counts once.
create table public.analytics_events (
    event_id    text primary key,
    ts          timestamptz not null,
    name        text not null,
    user_id     text,
    props       jsonb not null,
    received_at timestamptz not null
);
create index on public.analytics_events (ts);
create index on public.analytics_events (name, ts);

-- For the service key alone.
alter table public.analytics_events enable row level security;
revoke all on public.analytics_events from anon, authenticated;
grant select, insert, update, delete on public.analytics_events to service_role;
