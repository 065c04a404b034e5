-- The status of each verification, written by Corral (CORRAL_KYC_TABLE), read by the person it is about.
-- No document number, name or picture is stored here.
create table public.kyc_verifications (
    job_id        text primary key,
    user_id       text not null,
    provider      text not null check (provider in ('onfido', 'idenfy')),
    document_type text not null check (document_type in ('passport', 'id_card', 'driving_license')),
    status        text not null check (
        status in ('processing', 'approved', 'rejected', 'pending_review', 'expired', 'failed')
    ),
    provider_ref  text,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    completed_at  timestamptz
);
create index on public.kyc_verifications (provider_ref);
create index on public.kyc_verifications (user_id, created_at desc);

-- Corral's service key passes row level security. A person sees their own rows and writes none: whoever could
-- write here could approve themselves.
alter table public.kyc_verifications enable row level security;
revoke all on public.kyc_verifications from anon, authenticated;
grant select on public.kyc_verifications to authenticated;
grant select, insert, update, delete on public.kyc_verifications to service_role;
create policy "people see their own verifications" on public.kyc_verifications
    for select to authenticated
    using (user_id = (select auth.uid())::text);

-- An app that subscribes to its row hears of the outcome without asking.
alter publication supabase_realtime add table public.kyc_verifications;
