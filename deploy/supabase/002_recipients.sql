-- Where the queue `notification` finds people: devices (CORRAL_DEVICES_TABLE) and numbers (CORRAL_PHONES_TABLE).
-- If you have tables of your own for that, name them in the settings instead (CORRAL_DEVICES_COLUMNS, …).
create table public.device_tokens (
    user_id    text not null,
    kind       text not null check (kind in ('fcm', 'apns', 'webpush')),
    token      text not null,
    created_at timestamptz not null default now(),
    primary key (user_id, token)
);

create table public.profiles (
    id        text primary key,
    -- E.164, as +4930123456
    phone     text check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    -- As Europe/Berlin; quiet hours are counted in it.
    time_zone text
);

alter table public.device_tokens enable row level security;
alter table public.profiles enable row level security;
revoke all on public.device_tokens, public.profiles from anon, authenticated;
grant select, insert, update, delete on public.device_tokens, public.profiles to service_role;

-- An app registers and forgets its own device. A number is written by your back end, once it is verified.
grant select, insert, delete on public.device_tokens to authenticated;
create policy "people see their own devices" on public.device_tokens
    for select to authenticated using (user_id = (select auth.uid())::text);
create policy "people add their own devices" on public.device_tokens
    for insert to authenticated with check (user_id = (select auth.uid())::text);
create policy "people remove their own devices" on public.device_tokens
    for delete to authenticated using (user_id = (select auth.uid())::text);
grant select on public.profiles to authenticated;
create policy "people see their own profile" on public.profiles
    for select to authenticated using (id = (select auth.uid())::text);
