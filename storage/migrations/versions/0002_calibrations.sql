CREATE TABLE calibrations (
	task_type TEXT NOT NULL,
	subtask_id TEXT NOT NULL,
	version INTEGER NOT NULL,
	status TEXT NOT NULL,
	strategy TEXT NOT NULL,
	panel JSONB NOT NULL,
	body JSONB NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	activated_at TIMESTAMP WITH TIME ZONE,
	ended_at TIMESTAMP WITH TIME ZONE,
	note TEXT,
	CONSTRAINT pk_calibrations PRIMARY KEY (task_type, subtask_id, version)
);

CREATE UNIQUE INDEX uq_calibrations_standing ON calibrations (task_type, subtask_id, status) WHERE status IN ('active', 'shadow');

CREATE TABLE audits (
	task_id TEXT NOT NULL,
	subtask_id TEXT NOT NULL,
	calibration_version INTEGER NOT NULL,
	score DOUBLE PRECISION NOT NULL,
	drawn_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
	"right" BOOLEAN,
	resolved_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_audits PRIMARY KEY (task_id, subtask_id),
	CONSTRAINT fk_audits_task_id FOREIGN KEY(task_id) REFERENCES tasks (id)
);

CREATE INDEX ix_audits_calibration ON audits (subtask_id, calibration_version);

CREATE INDEX ix_audits_open ON audits (drawn_at) WHERE resolved_at IS NULL;
