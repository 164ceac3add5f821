-- When a task was put away, and when it was deleted. A deleted task stays as a row that nobody is shown: its events, which are
-- append-only, refer to it.
alter table tasks add column archived_at text;
alter table tasks add column deleted_at text;
