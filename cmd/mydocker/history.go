package main

import (
	"context"
	"strconv"
	"time"

	"github.com/docker/go-units"

	"github.com/weikeit/mydocker/lib/cli"
	"github.com/weikeit/mydocker/lib/container"
	"github.com/weikeit/mydocker/lib/image"
)

type history struct {
	Human   bool   `short:"H" default:"true" negatable:"" help:"Print readable sizes and times (default: true)"`
	NoTrunc bool   `help:"Do not cut CREATED BY and the id"`
	Quiet   bool   `short:"q" help:"Only print the ids"`
	Format  string `help:"table, json (one object per line), or a Go template such as '{{.CreatedBy}} {{.Size}}' (default: table)"`
	Image   string `arg:"" help:"Name or id of an image"`
}

// historyRow is a step of the build of an image. Its fields have docker's names.
type historyRow struct {
	ID           string
	CreatedAt    string
	CreatedSince string
	CreatedBy    string
	Size         string
	Comment      string
}

// Run implements cli.Runner.
func (c *history) Run(_ context.Context, std *cli.IO) error {
	print, err := cli.Listing[historyRow]{
		Header: []string{"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"}, Cells: c.cells, ID: func(r historyRow) string { return r.ID },
	}.Printer(cli.ListFlags{Quiet: c.Quiet, Format: c.Format})
	if err != nil {
		return err
	}
	e, err := engine(std)
	if err != nil {
		return err
	}
	img, err := e.Images.Resolve(c.Image)
	if err != nil {
		return cli.About(c.Image, err)
	}
	return print(std.Out, c.rows(img))
}

func (c *history) cells(r historyRow) []string {
	created := r.CreatedSince
	if !c.Human {
		created = r.CreatedAt
	}
	return []string{r.ID, created, r.CreatedBy, r.Size, r.Comment}
}

// rows returns the steps, the last first. Layers without history have a row each.
func (c *history) rows(img *image.Image) []historyRow {
	steps := img.Config.History
	var rows []historyRow
	layer := 0
	for _, step := range steps {
		var size int64
		if !step.EmptyLayer && layer < len(img.Layers) {
			size = img.Layers[layer].Size
			layer++
		}
		r := c.row(size)
		r.CreatedBy, r.Comment = cli.OneLine(step.CreatedBy), cli.OneLine(step.Comment)
		if step.Created != nil && !step.Created.IsZero() {
			r.CreatedAt, r.CreatedSince = step.Created.Format(time.RFC3339), units.HumanDuration(time.Since(*step.Created))+" ago"
		}
		if short := []rune(r.CreatedBy); !c.NoTrunc && len(short) > 45 {
			r.CreatedBy = string(short[:44]) + "…"
		}
		rows = append([]historyRow{r}, rows...)
	}
	for ; layer < len(img.Layers); layer++ {
		rows = append([]historyRow{c.row(img.Layers[layer].Size)}, rows...)
	}
	if len(rows) > 0 {
		if rows[0].ID = img.ID; c.NoTrunc {
			rows[0].ID = img.ConfigDigest.String()
		}
	}
	return rows
}

func (c *history) row(size int64) historyRow {
	r := historyRow{ID: "<missing>", CreatedAt: "N/A", CreatedSince: "N/A", Size: container.Size(size)}
	if !c.Human {
		r.Size = strconv.FormatInt(size, 10)
	}
	return r
}
