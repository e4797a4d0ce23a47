-- Figures alone: no text that was judged is kept.
CREATE TABLE redteam_runs (
	id TEXT NOT NULL,
	task_type TEXT NOT NULL,
	policy_hash TEXT NOT NULL,
	passed BOOLEAN NOT NULL,
	body JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	CONSTRAINT pk_redteam_runs PRIMARY KEY (id)
);
