"""Names that a seeded world is made of: pipelines and their processes, machines, places, people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a pipeline.

    Attributes:
        name: Full name, workflows included.
        stage: Its place in the run, from 0.
        per_sample: Whether it runs once for each sample, or once for the run.
        cpus: CPUs asked for.
        memory_gib: Memory asked for, GiB.
        time_h: Wall time asked for, hours.
        minutes: Median run time, minutes.
        load: Median share of the asked CPUs that is used.
        fill: Median share of the asked memory that is used at the peak.
        container: Image.
    """

    name: str
    stage: int
    per_sample: bool
    cpus: int
    memory_gib: int
    time_h: int
    minutes: float
    load: float
    fill: float
    container: str


@dataclass(frozen=True)
class Pipeline:
    """A pipeline.

    Attributes:
        name: Organisation and repository.
        revisions: Released versions, oldest first.
        description: What its manifest says.
        author: Who its manifest names.
        profile: The usual profile.
        popularity: How often it is run, against the others.
        processes: Its processes, by stage.
    """

    name: str
    revisions: tuple[str, ...]
    description: str
    author: str
    profile: str
    popularity: int
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class Platform:
    """Where tasks are executed.

    Attributes:
        id: The platform as the API names it.
        name: Its display name.
        executor: Nextflow's executor.
        queue: Queue of the tasks.
        region: Region, empty for a cluster of one's own.
        machines: Machine types, empty where the platform does not tell.
    """

    id: str
    name: str
    executor: str
    queue: str
    region: str
    machines: tuple[str, ...]


def _parse(prefix: str, table: str) -> tuple[Process, ...]:
    rows = (line.split() for line in table.strip().splitlines())
    return tuple(
        Process(
            name=f"{prefix}:{name}",
            stage=int(stage),
            per_sample=each == "sample",
            cpus=int(cpus),
            memory_gib=int(memory),
            time_h=int(time),
            minutes=float(minutes),
            load=float(load),
            fill=float(fill),
            container=f"quay.io/biocontainers/{image}",
        )
        for name, stage, each, cpus, memory, time, minutes, load, fill, image in rows
    )


# name, stage, once for each, cpus, GiB, hours, median minutes, CPU share, memory share, image
_RNASEQ = """
PREPARE_GENOME:GTF_FILTER 0 run 1 6 4 1.6 0.17 0.01 python:3.9--1
PREPARE_GENOME:MAKE_TRANSCRIPTS_FASTA 0 run 12 72 16 3.4 0.04 0.02 rsem-star:1.3.3
PREPARE_GENOME:CUSTOM_GETCHROMSIZES 0 run 1 6 4 1.1 0.13 0.01 samtools:1.21--h50ea8bc_0
RNASEQ:FASTQ_QC_TRIM_FILTER_SETSTRANDEDNESS:FQ_LINT 0 sample 2 12 4 7 0.5 0.05 fq:0.12.0
RNASEQ:FASTQ_QC_TRIM_FILTER_SETSTRANDEDNESS:FASTQC 1 sample 6 36 8 6 0.45 0.13 fastqc:0.12.1
RNASEQ:FASTQ_QC_TRIM_FILTER_SETSTRANDEDNESS:TRIMGALORE 1 sample 12 72 16 40 0.55 0.02 cutadapt:4.9
RNASEQ:ALIGN_STAR:STAR_ALIGN 2 sample 12 72 16 55 0.72 0.45 star:2.7.11b
RNASEQ:ALIGN_STAR:BAM_SORT_STATS_SAMTOOLS:SAMTOOLS_SORT 3 sample 6 36 8 14 0.6 0.14 samtools:1.21
RNASEQ:ALIGN_STAR:BAM_SORT_STATS_SAMTOOLS:SAMTOOLS_INDEX 3 sample 1 6 4 4 0.8 0.01 samtools:1.21
RNASEQ:QUANTIFY_STAR_SALMON:SALMON_QUANT 4 sample 6 36 8 13 0.6 0.09 salmon:1.10.3
RNASEQ:BAM_MARKDUPLICATES_PICARD:PICARD_MARKDUPLICATES 4 sample 6 36 8 48 0.2 0.8 picard:3.1.1
RNASEQ:STRINGTIE_STRINGTIE 5 sample 6 36 8 11 0.5 0.02 stringtie:2.2.3
RNASEQ:SUBREAD_FEATURECOUNTS 5 sample 6 36 8 6 0.9 0.02 subread:2.0.6
RNASEQ:QUALIMAP_RNASEQ 5 sample 6 36 8 70 0.2 0.3 qualimap:2.3
RNASEQ:DUPRADAR 5 sample 1 6 4 60 0.9 0.4 bioconductor-dupradar:1.32.0
RNASEQ:BAM_RSEQC:RSEQC_READDISTRIBUTION 5 sample 6 36 8 22 0.16 0.08 rseqc:5.0.3
RNASEQ:BAM_RSEQC:RSEQC_READDUPLICATION 5 sample 6 36 8 45 0.16 0.6 rseqc:5.0.3
RNASEQ:QUANTIFY_STAR_SALMON:TXIMETA_TXIMPORT 6 run 6 36 8 3 0.16 0.1 bioconductor-tximeta:1.20.1
RNASEQ:DESEQ2_QC_STAR_SALMON 6 run 6 36 8 2 0.2 0.05 bioconductor-deseq2:1.34.0
RNASEQ:MULTIQC 7 run 1 6 4 4 0.9 0.2 multiqc:1.29
"""
_SAREK = """
PREPARE_GENOME:BWAMEM1_INDEX 0 run 1 72 8 60 0.98 0.1 bwa:0.7.18
PREPARE_INTERVALS:CREATE_INTERVALS_BED 0 run 1 1 4 0.2 0.06 0.01 gawk:5.1.0
PREPARE_INTERVALS:TABIX_BGZIPTABIX_INTERVAL_COMBINED 0 run 1 1 4 0.2 0.1 0.01 htslib:1.20
SAREK:FASTQC 0 sample 4 4 8 40 0.5 0.3 fastqc:0.12.1
SAREK:FASTQ_ALIGN_BWAMEM_MEM2_DRAGMAP_SENTIEON:BWAMEM1_MEM 1 sample 24 30 8 120 0.93 0.7 bwa:0.7.18
SAREK:BAM_MARKDUPLICATES:GATK4_MARKDUPLICATES 2 sample 6 30 16 90 0.25 0.85 gatk4:4.5.0.0
SAREK:BAM_MARKDUPLICATES:CRAM_QC_MOSDEPTH_SAMTOOLS:MOSDEPTH 3 sample 4 4 8 12 0.4 0.4 mosdepth:0.3.8
SAREK:BAM_BASERECALIBRATOR:GATK4_BASERECALIBRATOR 3 sample 2 4 4 35 0.6 0.35 gatk4:4.5.0.0
SAREK:BAM_APPLYBQSR:GATK4_APPLYBQSR 4 sample 2 4 4 30 0.55 0.3 gatk4:4.5.0.0
SAREK:BAM_VARIANT_CALLING_GERMLINE_ALL:HAPLOTYPECALLER 5 sample 2 12 16 110 0.7 0.2 gatk4:4.5.0.0
SAREK:BAM_VARIANT_CALLING_SOMATIC_ALL:MUTECT2_PAIRED 5 sample 2 12 16 150 0.65 0.25 gatk4:4.5.0.0
SAREK:BAM_VARIANT_CALLING_GERMLINE_ALL:STRELKA_SINGLE 5 sample 6 8 8 45 0.8 0.15 strelka:2.9.10
SAREK:VCF_QC_BCFTOOLS_VCFTOOLS:BCFTOOLS_STATS 6 sample 1 6 4 3 0.9 0.02 bcftools:1.20
SAREK:VCF_ANNOTATE_ALL:ENSEMBLVEP_VEP 6 sample 6 36 8 55 0.6 0.05 ensembl-vep:111.0
SAREK:MULTIQC 7 run 4 12 4 5 0.3 0.1 multiqc:1.25
"""
_METHYLSEQ = """
FASTQC 0 sample 6 36 8 4 0.32 0.16 fastqc:0.12.1
TRIMGALORE 0 sample 12 72 16 14 0.56 0.01 trim-galore:0.6.10
FASTQ_ALIGN_DEDUP_BISMARK:BISMARK_ALIGN 1 sample 12 72 192 112 1.38 0.54 bismark:0.24.2
FASTQ_ALIGN_DEDUP_BISMARK:BISMARK_DEDUPLICATE 2 sample 6 72 8 30 0.3 0.2 bismark:0.24.2
FASTQ_ALIGN_DEDUP_BISMARK:SAMTOOLS_SORT 3 sample 1 6 4 18 0.97 0.13 samtools:1.21
FASTQ_ALIGN_DEDUP_BISMARK:BISMARK_METHYLATIONEXTRACTOR 3 sample 6 36 8 50 1.1 0.1 bismark:0.24.2
FASTQ_ALIGN_DEDUP_BISMARK:BISMARK_SUMMARY 4 run 2 12 4 1 0.4 0.01 bismark:0.24.2
MULTIQC 5 run 1 6 4 3 0.9 0.1 multiqc:1.29
"""
_FETCHNGS = """
SRA_IDS_TO_RUNINFO 0 sample 1 6 4 0.3 0.3 0.01 python:3.9--1
SRA_RUNINFO_TO_FTP 1 run 1 6 4 0.2 0.3 0.01 python:3.9--1
SRA_FASTQ_FTP 2 sample 1 6 4 24 0.1 0.01 wget:1.20.1
SRATOOLS_DOWNLOAD:SRATOOLS_PREFETCH 2 sample 1 6 4 16 0.2 0.02 sra-tools:3.1.0
SRA_TO_SAMPLESHEET 3 run 1 6 4 0.1 0.3 0.01 python:3.9--1
MULTIQC_MAPPINGS_CONFIG 3 run 1 6 4 0.1 0.3 0.01 python:3.9--1
"""
_SCRNASEQ = """
GTF_GENE_FILTER 0 run 1 6 4 1 0.4 0.01 python:3.9--1
FASTQC_CHECK:FASTQC 0 sample 6 36 8 9 0.4 0.1 fastqc:0.12.1
CELLRANGER_ALIGN:CELLRANGER_MKREF 0 run 12 72 16 35 0.3 0.4 cellranger:8.0.0
CELLRANGER_ALIGN:CELLRANGER_COUNT 1 sample 12 72 16 180 0.75 0.8 cellranger:8.0.0
EMPTY_DROPLET_REMOVAL:CELLBENDER_REMOVEBACKGROUND 2 sample 6 36 8 95 0.7 0.3 cellbender:0.3.0
MTX_TO_H5AD 3 sample 6 36 8 4 0.16 0.08 scanpy:1.10.2
CONCAT_H5AD 4 run 6 36 8 5 0.16 0.2 scanpy:1.10.2
MULTIQC 5 run 1 6 4 2 0.9 0.1 multiqc:1.25
"""
_VIRALRECON = """
PREPARE_GENOME:BOWTIE2_BUILD 0 run 6 36 8 0.5 0.3 0.01 bowtie2:2.5.2
FASTQ_TRIM_FASTP_FASTQC:FASTP 0 sample 6 36 8 2 0.4 0.03 fastp:0.23.4
KRAKEN2_KRAKEN2 1 sample 12 72 16 5 0.2 0.02 kraken2:2.1.3
FASTQ_ALIGN_BOWTIE2:BOWTIE2_ALIGN 1 sample 12 72 16 6 0.8 0.01 bowtie2:2.5.2
BAM_TRIM_PRIMERS_IVAR:IVAR_TRIM 2 sample 6 36 8 4 0.15 0.01 ivar:1.4
VARIANTS_IVAR:IVAR_VARIANTS 3 sample 6 36 8 5 0.16 0.01 ivar:1.4
CONSENSUS_BCFTOOLS:BCFTOOLS_CONSENSUS 4 sample 6 36 8 1 0.15 0.01 bcftools:1.20
CONSENSUS_QC:PANGOLIN 5 sample 6 36 8 3 0.3 0.04 pangolin:4.3
MULTIQC 6 run 6 36 8 4 0.15 0.03 multiqc:1.25
"""

PIPELINES: tuple[Pipeline, ...] = (
    Pipeline(
        name="nf-core/rnaseq",
        revisions=("3.14.0", "3.18.0", "3.19.0"),
        description="RNA sequencing analysis pipeline for gene/isoform quantification.",
        author="Harshil Patel, Phil Ewels, Rickard Hammarén",
        profile="docker",
        popularity=9,
        processes=_parse("NFCORE_RNASEQ", _RNASEQ),
    ),
    Pipeline(
        name="nf-core/sarek",
        revisions=("3.4.4", "3.5.0", "3.5.1"),
        description="Detects germline or somatic variants from whole genome sequencing.",
        author="Maxime Garcia, Szilveszter Juhos, Friederike Hanssen",
        profile="docker",
        popularity=6,
        processes=_parse("NFCORE_SAREK", _SAREK),
    ),
    Pipeline(
        name="nf-core/methylseq",
        revisions=("2.6.0", "4.1.0"),
        description="Methylation (Bisulfite-Sequencing) analysis pipeline.",
        author="Phil Ewels",
        profile="test_full",
        popularity=3,
        processes=_parse("NFCORE_METHYLSEQ:METHYLSEQ", _METHYLSEQ),
    ),
    Pipeline(
        name="nf-core/fetchngs",
        revisions=("1.11.0", "1.12.0"),
        description="Pipeline to fetch metadata and raw FastQ files from public databases.",
        author="Harshil Patel, Moritz E. Beber",
        profile="docker",
        popularity=5,
        processes=_parse("NFCORE_FETCHNGS:SRA", _FETCHNGS),
    ),
    Pipeline(
        name="nf-core/scrnaseq",
        revisions=("2.7.1", "4.0.0"),
        description="Pipeline for processing 10x Genomics single cell data.",
        author="Peter J. Bailey, Alexander Peltzer",
        profile="docker",
        popularity=4,
        processes=_parse("NFCORE_SCRNASEQ:SCRNASEQ", _SCRNASEQ),
    ),
    Pipeline(
        name="nf-core/viralrecon",
        revisions=("2.6.0",),
        description="Assembly and intrahost/low-frequency variant calling for viral samples.",
        author="Sarai Varona, Sara Monzon, Harshil Patel",
        profile="docker",
        popularity=4,
        processes=_parse("NFCORE_VIRALRECON:ILLUMINA", _VIRALRECON),
    ),
)

PLATFORMS: tuple[Platform, ...] = (
    Platform(
        *("aws-batch", "Amazon Batch", "awsbatch", "TowerForge-3kWq0vTYb7Xe1LrM-work"),
        region="eu-west-1",
        machines=("r6id.4xlarge", "m6id.8xlarge", "c6id.8xlarge", "m6id.24xlarge", "r6id.24xlarge"),
    ),
    Platform(
        *("google-batch", "Google Batch", "google-batch", "tower-batch"),
        region="europe-west1",
        machines=("n2-standard-8", "n2-standard-32", "n2-highmem-16", "c2-standard-30"),
    ),
    Platform("slurm-platform", "Slurm Workload Manager", "slurm", "cpu_long", "", ()),
)

ORGANIZATIONS = ("helix-institute", "northwind-genomics", "aurora-biobank", "tidepool-labs")
WORKSPACES = ("production", "research", "clinical", "benchmarks", "single-cell", "training")
PEOPLE = (
    *("ada-lindqvist", "bruno-okafor", "chiara-ferri", "deniz-yilmaz", "emil-novak"),
    *("farah-haddad", "gita-menon", "hugo-vasquez"),
)
LABELS: tuple[tuple[str, str | None], ...] = (
    *(("production", None), ("pilot", None), ("rerun", None), ("urgent", None)),
    *(("project", "atlas"), ("project", "beacon"), ("project", "cohort-7")),
    *(("cost-center", "cc-1042"), ("cost-center", "cc-2210"), ("team", "oncology")),
)
ADJECTIVES = (
    *("amazing", "big", "crazy", "determined", "elated", "fervent", "goofy", "happy"),
    *("infallible", "jolly", "loving", "mighty", "nostalgic", "pensive", "romantic", "stoic"),
)
SURNAMES = (
    *("allen", "babbage", "curie", "darwin", "euler", "franklin", "galileo", "hopper"),
    *("joliot", "keller", "lovelace", "mendel", "noether", "pasteur", "sanger", "turing"),
)
