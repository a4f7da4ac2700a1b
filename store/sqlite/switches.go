package sqlite

import (
	"context"

	"datasync-bridge/routing/incident"
)

// Switches lists what a person has stopped. There is no table for it yet.
func (s *Store) Switches(context.Context) ([]incident.Switch, error) { return nil, nil }
